/** The ports of messages to customers: the provider outside, and what was sent. Methods with a `tx` take part in that transaction. */
import type { OrderId } from '../domain/order.ts';
import type { Transaction } from './ports.ts';

export interface Message {
  readonly to: string;
  readonly template: string;
  readonly variables: Readonly<Record<string, string>>;
}

export interface NotificationProvider {
  /** Resolves where the provider took it (202), else rejects with what is wrong. The key names the message: once is enough. */
  send(message: Message, idempotencyKey: string): Promise<void>;
}

export interface Notification extends Message {
  readonly orderId: OrderId;
  readonly state: 'PENDING' | 'SENT' | 'GIVEN_UP';
  readonly attempts: number;
  readonly error?: string;
  readonly createdAt: number;
  readonly sentAt?: number;
}

export interface Notifications {
  /** Those of the orders, whatever became of them. */
  find(orderIds: readonly OrderId[]): Promise<Notification[]>;
  /** Adds or changes; one that was sent stays as it is. Returns those that this changed. */
  save(tx: Transaction, notifications: readonly Notification[]): Promise<Notification[]>;
}

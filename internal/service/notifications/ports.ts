/** The ports of messages to customers: the provider outside, and what was sent. Methods with a `tx` take part in that transaction. */
import type { Customer, Message, Notification, SendOutcome } from '../../domain/notification.ts';
import type { OrderId } from '../../domain/order.ts';
import type { Transaction } from '../ports.ts';

export interface NotificationProvider {
  /** The key names the message: however often it is sent under it, the customer gets it once. */
  send(message: Message, idempotencyKey: string): Promise<SendOutcome>;
}

export interface Notifications {
  /** Of these orders, those that name somebody to tell. */
  customers(orderIds: readonly OrderId[]): Promise<Map<OrderId, Customer>>;
  /** All messages of the orders, oldest first, whatever became of them. */
  find(orderIds: readonly OrderId[], tx?: Transaction): Promise<Notification[]>;
  /** Adds or changes; one that was sent stays as it is. */
  save(tx: Transaction, notifications: readonly Notification[]): Promise<void>;
}

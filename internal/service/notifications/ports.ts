/** The ports of messages to customers: the external provider, and the stored messages. A method with a `tx` runs in that transaction. */
import type { Customer, Message, Notification, SendOutcome } from '../../domain/notification.ts';
import type { OrderId } from '../../domain/order.ts';
import type { Transaction } from '../ports.ts';

export interface NotificationProvider {
  /** Sends a message. The provider delivers it once, although it is sent several times under the same key. Never throws. */
  send(message: Message, idempotencyKey: string): Promise<SendOutcome>;
}

export interface Notifications {
  /** The customers of those orders that have a contact's phone or a customer id. */
  customers(orderIds: readonly OrderId[]): Promise<Map<OrderId, Customer>>;
  /** All messages of the orders in any state, oldest first. */
  find(orderIds: readonly OrderId[], tx?: Transaction): Promise<Notification[]>;
  /** Adds or changes messages; one that is SENT stays as it is. */
  save(tx: Transaction, notifications: readonly Notification[]): Promise<void>;
}

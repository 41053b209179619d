/** The port of the messages to customers, on the simulated database. */
import { type Customer, type Notification, notificationKey } from '../../internal/domain/notification.ts';
import type { OrderId } from '../../internal/domain/order.ts';
import type { Notifications } from '../../internal/service/notifications/ports.ts';
import { type Database, sessionOf } from './database.ts';
import type { OrderStores } from './order-stores.ts';
import type { Scheduler } from './scheduler.ts';

export function messageStore(
  { call }: Scheduler,
  db: Database,
  { orderNow }: Pick<OrderStores, 'orderNow'>,
): Notifications {
  const messages = db.table<Notification>('messages');

  function customerOf(id: OrderId): [OrderId, Customer][] {
    const { customerId, contact } = orderNow(id) ?? {};
    if (!customerId && !contact) return [];
    return [[id, { ...(customerId ? { customerId } : {}), ...(contact ? { contact } : {}) }]];
  }

  return {
    customers: (ids) => call('find customers', () => new Map(ids.flatMap(customerOf))),
    find(ids, tx) {
      const session = tx && sessionOf(tx);
      return db.statement(session, 'find messages', () =>
        db
          .all(messages, session)
          .filter(({ orderId }) => ids.includes(orderId))
          .sort((a, b) => a.createdAt - b.createdAt || (notificationKey(a) < notificationKey(b) ? -1 : 1)),
      );
    },
    async save(tx, saved) {
      if (saved.length === 0) return;
      const session = sessionOf(tx);
      await db.statement(session, 'save messages', async () => {
        for (const message of [...saved].sort((a, b) => (notificationKey(a) < notificationKey(b) ? -1 : 1)))
          await db.write(session, messages, notificationKey(message), (row) => {
            if (!row) return message;
            if (row.state === 'SENT') return undefined;
            const { state, attempts, error, sentAt } = message;
            const { error: _, ...kept } = row;
            return { ...kept, state, attempts, ...(error ? { error } : {}), ...(sentAt ? { sentAt } : {}) };
          });
      });
    },
  };
}

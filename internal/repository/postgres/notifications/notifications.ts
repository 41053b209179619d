/** Stores the messages to customers in Postgres: one row for each order and template. */
import { and, eq, getTableColumns, isNotNull, notExists, or, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { Customer, Notification } from '../../../domain/notification.ts';
import type { Notifications } from '../../../service/notifications/ports.ts';
import { bulkInsert } from '../bulk-parameters.ts';
import { clientOf } from '../database.ts';
import { isAnyOf, prepared } from '../queries.ts';
import { erasedOrders } from '../schema/erasure.ts';
import { notifications } from '../schema/notifications.ts';
import { orders } from '../schema/orders.ts';

const contact = sql<Customer['contact'] | null>`${orders.content}->'contact'`;
// Skips orders without a customer or contact, which may be most of them, and those that were erased.
const customers = prepared('find-customers', (db) =>
  db
    .select({ orderId: orders.orderId, customerId: orders.customerId, contact })
    .from(orders)
    .where(
      and(
        isAnyOf(orders.orderId, 'ids'),
        notExists(
          db
            .select({ id: erasedOrders.orderId })
            .from(erasedOrders)
            .where(eq(erasedOrders.orderId, orders.orderId)),
        ),
        or(isNotNull(orders.customerId), isNotNull(contact)),
      ),
    ),
);

const columns = getTableColumns(notifications);
const { orderId, template, state, attempts, error, createdAt, sentAt } = columns;

// Oldest first.
const find = prepared('find-notifications', (db) =>
  db.select().from(notifications).where(isAnyOf(orderId, 'ids')).orderBy(createdAt, orderId, template),
);
// A sent message never changes.
const save = bulkInsert('save-notifications', notifications, columns, {
  target: [orderId, template],
  update: [state, attempts, error, sentAt],
  where: sql`${state} <> 'SENT'`,
});

export function postgresNotifications(pool: pg.Pool): Notifications {
  return {
    async customers(ids) {
      const rows = await customers(pool, { ids });
      return new Map(
        rows.map(({ orderId, customerId, contact }) => [
          orderId,
          { ...(customerId === null ? {} : { customerId }), ...(contact ? { contact } : {}) },
        ]),
      );
    },
    find: async (ids, tx) => (await find(tx ? clientOf(tx) : pool, { ids })).map(toNotification),
    save: (tx, saved) =>
      save(
        clientOf(tx),
        saved.map(({ to, ...message }) => ({ ...message, recipient: to })),
      ),
  };
}

function toNotification(row: typeof notifications.$inferSelect): Notification {
  const { recipient, error, sentAt, ...message } = row;
  return {
    ...message,
    to: recipient,
    ...(error === null ? {} : { error }),
    ...(sentAt === null ? {} : { sentAt }),
  } as Notification;
}

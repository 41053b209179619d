/** Messages to customers in Postgres: one row of a kind for each order. */
import type pg from 'pg';
import type { Customer, Notification } from '../../../domain/notification.ts';
import type { OrderId } from '../../../domain/order.ts';
import { toRfc3339 } from '../../../domain/schedule.ts';
import type { Notifications } from '../../../service/notifications/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { query } from '../database.ts';
import { clientOf } from '../transactions.ts';

// Input: order ids. Output: whom those orders name that name anybody; most orders of a shop may name nobody.
const CUSTOMERS = {
  name: 'find-customers',
  text: `SELECT order_id, customer_id, content->'contact' AS contact FROM orders
    WHERE order_id = ANY($1::text[]) AND (customer_id IS NOT NULL OR content->'contact' IS NOT NULL)`,
};

// Input: order ids. Output: all messages of the orders, oldest first.
const FIND = {
  name: 'find-notifications',
  text: `SELECT order_id, template, state, recipient, variables, attempts, error, created_at, sent_at
    FROM notifications WHERE order_id = ANY($1::text[]) ORDER BY created_at, order_id, template`,
};

const ROWS = bulkParameters({
  order_id: 'text',
  template: 'text',
  state: 'text',
  recipient: 'words',
  variables: 'jsonb',
  attempts: 'int',
  error: 'words',
  created_at: 'timestamptz',
  sent_at: 'timestamptz',
});

// Input: messages, no two of the same order and template. A message that was sent stays as it is.
const SAVE = {
  name: 'save-notifications',
  text: `
    INSERT INTO notifications AS n (${ROWS.names}) SELECT ${ROWS.names} FROM ${ROWS.from} r
    ORDER BY order_id, template
    ON CONFLICT (order_id, template) DO UPDATE
    SET state = excluded.state, attempts = excluded.attempts, error = excluded.error, sent_at = excluded.sent_at
    WHERE n.state <> 'SENT'`,
};

interface NotificationRow {
  order_id: string;
  template: string;
  state: string;
  recipient: string;
  variables: Record<string, string>;
  attempts: number;
  error: string | null;
  created_at: Date;
  sent_at: Date | null;
}

export function postgresNotifications(pool: pg.Pool): Notifications {
  return {
    async customers(orderIds) {
      const { rows } = await query<{
        order_id: OrderId;
        customer_id: string | null;
        contact: Customer['contact'] | null;
      }>(pool, CUSTOMERS, [orderIds]);
      return new Map(
        rows.map(({ order_id, customer_id, contact }) => [
          order_id,
          {
            ...(customer_id === null ? {} : { customerId: customer_id }),
            ...(contact ? { contact } : {}),
          },
        ]),
      );
    },
    async find(orderIds, tx) {
      const { rows } = await query<NotificationRow>(tx ? clientOf(tx) : pool, FIND, [orderIds]);
      return rows.map(toNotification);
    },
    async save(tx, notifications) {
      if (notifications.length > 0)
        await query(clientOf(tx), SAVE, ROWS.values(notifications.map(toColumns)));
    },
  };
}

function toNotification(row: NotificationRow): Notification {
  return {
    orderId: row.order_id as OrderId,
    to: row.recipient,
    template: row.template,
    variables: row.variables,
    state: row.state as Notification['state'],
    attempts: row.attempts,
    ...(row.error === null ? {} : { error: row.error }),
    createdAt: row.created_at.getTime(),
    ...(row.sent_at === null ? {} : { sentAt: row.sent_at.getTime() }),
  };
}

function toColumns(notification: Notification) {
  return {
    order_id: notification.orderId,
    template: notification.template,
    state: notification.state,
    recipient: notification.to,
    variables: notification.variables,
    attempts: notification.attempts,
    error: notification.error,
    created_at: toRfc3339(notification.createdAt),
    sent_at: notification.sentAt === undefined ? undefined : toRfc3339(notification.sentAt),
  };
}

/** Deletes rows that are older than their retention, a limited number at a time. Times are epoch milliseconds. */
import { and, eq, gte, inArray, lt, ne, notExists, type SQL, sql } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { type AnyPgColumn, type AnyPgTable, alias } from 'drizzle-orm/pg-core';
import { isFinal, ORDER_STATUSES, type OrderStatus } from '../../../domain/order.ts';
import type { Payment } from '../../../domain/payment.ts';
import { attempt, type DrizzleTransaction } from '../queries.ts';
import { deliveries } from '../schema/delivery.ts';
import { reservations } from '../schema/inventory.ts';
import { notifications } from '../schema/notifications.ts';
import { idempotencyKeys, orders } from '../schema/orders.ts';
import { payments } from '../schema/payments.ts';
import { tickets } from '../schema/restaurants.ts';
import { timers } from '../schema/scheduling.ts';
import { deadLetters, processedEvents } from '../schema/stream.ts';

type Prune = (db: NodePgDatabase, before: number, limit: number) => Promise<number>;

/** Finds the rows through the table's index by age, and deletes them by their addresses. */
function rowsOf(
  table: AnyPgTable,
  condition: (db: NodePgDatabase, before: number) => SQL | undefined,
): Prune {
  return async (db, before, limit) => {
    const found = db.select({ address: sql`ctid` }).from(table).where(condition(db, before)).limit(limit);
    const { rowCount } = await attempt(db.delete(table).where(sql`ctid = any(array(${found}))`));
    return rowCount ?? 0;
  };
}

export const pruneMarks = rowsOf(processedEvents, (_db, before) => lt(processedEvents.processedAt, before));
export const pruneKeys = rowsOf(idempotencyKeys, (_db, before) => lt(idempotencyKeys.createdAt, before));

export const pruneMessages = rowsOf(notifications, (_db, before) =>
  and(lt(notifications.createdAt, before), ne(notifications.state, 'PENDING')),
);

/** A letter is deleted only together with the events parked behind it, since they would otherwise overtake it. */
export const pruneLetters = rowsOf(deadLetters, (db, before) => {
  const other = alias(deadLetters, 'other');
  const younger = db
    .select({ id: other.id })
    .from(other)
    .where(
      and(
        eq(other.consumer, deadLetters.consumer),
        eq(other.orderId, deadLetters.orderId),
        gte(other.createdAt, before),
      ),
    );
  return and(lt(deadLetters.createdAt, before), notExists(younger));
});

/** Payments outlive their orders: while the order is there, a missing payment would be requested once more. */
export const prunePayments = rowsOf(payments, (db, before) =>
  and(
    lt(payments.requestedAt, before),
    notExists(db.select({ id: orders.orderId }).from(orders).where(eq(orders.orderId, payments.orderId))),
  ),
);

const ENDED = ORDER_STATUSES.filter(isFinal);
/** Tables with rows of an order that are deleted with it. */
const OF_ORDERS = [reservations, tickets, deliveries, timers, notifications] as const;

export const pruneOrders: Prune = async (db, before, limit) => {
  let deleted = 0;
  for (const status of ENDED) {
    const ofStatus = db.transaction((tx) => pruneStatus(tx, status, before, limit - deleted));
    deleted += await attempt(ofStatus);
    if (deleted >= limit) break;
  }
  return deleted;
};

async function pruneStatus(
  tx: DrizzleTransaction,
  status: OrderStatus,
  before: number,
  limit: number,
): Promise<number> {
  const isOld = and(eq(orders.status, status), lt(orders.createdAt, before), lt(orders.updatedAt, before));
  const found = await tx
    .select({ id: orders.orderId })
    .from(orders)
    .where(and(isOld, ...unfinished(tx, status).map(notExists)))
    .orderBy(orders.createdAt)
    .limit(limit)
    .for('update', { skipLocked: true });
  if (found.length === 0) return 0;
  const ids = found.map(({ id }) => id);
  for (const table of OF_ORDERS) await tx.delete(table).where(inArray(table.orderId, ids));
  await tx.delete(orders).where(inArray(orders.orderId, ids));
  return ids.length;
}

/** What an order that has ended in this status may still wait for: its money, its stock, its rider, its messages. */
function unfinished(tx: DrizzleTransaction, status: OrderStatus) {
  const isDroppedOut = status === 'FAILED' || status === 'REJECTED' || status === 'CANCELLED';
  const select = { id: sql`1` };
  const ofOrder = (column: AnyPgColumn, condition: SQL) => and(eq(column, orders.orderId), condition);
  const moves: Payment['state'][] = [
    'PENDING',
    'AUTHORIZED',
    ...(isDroppedOut ? (['CAPTURED'] as const) : []),
  ];
  return [
    tx
      .select(select)
      .from(payments)
      .where(ofOrder(payments.orderId, inArray(payments.state, moves))),
    tx
      .select(select)
      .from(deliveries)
      .where(ofOrder(deliveries.orderId, eq(deliveries.holdsPlace, true))),
    tx
      .select(select)
      .from(notifications)
      .where(ofOrder(notifications.orderId, eq(notifications.state, 'PENDING'))),
    ...(isDroppedOut
      ? [
          tx
            .select(select)
            .from(reservations)
            .where(ofOrder(reservations.orderId, eq(reservations.state, 'reserved'))),
        ]
      : []),
  ];
}

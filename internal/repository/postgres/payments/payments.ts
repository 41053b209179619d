/** Stores the payment ledger in Postgres: one row for each order. */
import { getTableColumns } from 'drizzle-orm';
import type pg from 'pg';
import type { OrderId } from '../../../domain/order.ts';
import type { Payment } from '../../../domain/payment.ts';
import type { Payments } from '../../../service/payments/ports.ts';
import { bulkInsert } from '../bulk-parameters.ts';
import { clientOf } from '../database.ts';
import { isAnyOf, prepared } from '../queries.ts';
import { payments } from '../schema/payments.ts';

type PaymentRow = typeof payments.$inferSelect;

const columns = getTableColumns(payments);
const { orderId, currency: _, requested: __, requestedAt: ___, ...changing } = columns;

const find = prepared('find-payments', (db) => db.select().from(payments).where(isAnyOf(orderId, 'ids')));
const lock = prepared('lock-payments', (db) =>
  db.select().from(payments).where(isAnyOf(orderId, 'ids')).orderBy(orderId).for('update'),
);
const save = bulkInsert('save-payments', payments, columns, {
  target: [orderId],
  update: Object.values(changing),
});

export function postgresPayments(pool: pg.Pool): Payments {
  return {
    find: async (ids) => byOrder(await find(pool, { ids })),
    lock: async (tx, ids) => byOrder(await lock(clientOf(tx), { ids })),
    save: (tx, saved) => save(clientOf(tx), saved.map(toRow)),
  };
}

function byOrder(rows: readonly PaymentRow[]): Map<OrderId, Payment> {
  return new Map(rows.map((row) => [row.orderId, toPayment(row)]));
}

function toPayment(row: PaymentRow): Payment {
  return {
    orderId: row.orderId,
    currency: row.currency,
    state: row.state,
    version: row.version,
    requestedMinor: row.requested,
    authorizedMinor: row.authorized,
    capturedMinor: row.captured,
    refundedMinor: row.refunded,
    ...(row.authorizationId === null ? {} : { authorizationId: row.authorizationId }),
    ...(row.reason === null ? {} : { reason: row.reason }),
    attempts: row.attempts,
    requestedAt: row.requestedAt,
    ...(row.authorizedAt === null ? {} : { authorizedAt: row.authorizedAt }),
    ...(row.capturedAt === null ? {} : { capturedAt: row.capturedAt }),
    ...(row.voidedAt === null ? {} : { voidedAt: row.voidedAt }),
    ...(row.refundedAt === null ? {} : { refundedAt: row.refundedAt }),
  };
}

function toRow({ requestedMinor, authorizedMinor, capturedMinor, refundedMinor, ...payment }: Payment) {
  return {
    ...payment,
    requested: requestedMinor,
    authorized: authorizedMinor,
    captured: capturedMinor,
    refunded: refundedMinor,
  };
}

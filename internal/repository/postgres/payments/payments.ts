/** The ledger in Postgres: one row for the money of each order. */
import type pg from 'pg';
import { toDecimalText } from '../../../domain/money.ts';
import type { OrderId } from '../../../domain/order.ts';
import type { Payment, PaymentState } from '../../../domain/payment.ts';
import { toRfc3339 } from '../../../domain/schedule.ts';
import type { Payments } from '../../../service/payments/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { query } from '../database.ts';
import { clientOf } from '../transactions.ts';

interface PaymentRow {
  order_id: string;
  currency: string;
  state: string;
  version: number;
  /** The amounts are NUMERIC as text. */
  requested: string;
  authorized: string;
  captured: string;
  refunded: string;
  authorization_id: string | null;
  reason: string | null;
  attempts: number;
  requested_at: Date;
  authorized_at: Date | null;
  captured_at: Date | null;
  voided_at: Date | null;
  refunded_at: Date | null;
}

const ROWS = bulkParameters({
  order_id: 'text',
  currency: 'text',
  state: 'text',
  version: 'int',
  requested: 'numeric',
  authorized: 'numeric',
  captured: 'numeric',
  refunded: 'numeric',
  authorization_id: 'words',
  reason: 'words',
  attempts: 'int',
  requested_at: 'timestamptz',
  authorized_at: 'timestamptz',
  captured_at: 'timestamptz',
  voided_at: 'timestamptz',
  refunded_at: 'timestamptz',
});
const COLUMNS = ROWS.names;

// Input: order ids. Output: the payments of those that have one.
const FIND = {
  name: 'find-payments',
  text: `SELECT ${COLUMNS} FROM payments WHERE order_id = ANY($1::text[])`,
};

// Input: order ids. Output: the same, locked in id order.
const LOCK = {
  name: 'lock-payments',
  text: `SELECT ${COLUMNS} FROM payments WHERE order_id = ANY($1::text[]) ORDER BY order_id FOR UPDATE`,
};

// Input: payments, one for an order. What was asked for never changes, nor when.
const SAVE = {
  name: 'save-payments',
  text: `
    INSERT INTO payments (${COLUMNS})
    SELECT ${COLUMNS} FROM ${ROWS.from} r
    ON CONFLICT (order_id) DO UPDATE
    SET state = excluded.state, version = excluded.version, authorized = excluded.authorized,
        captured = excluded.captured, refunded = excluded.refunded, authorization_id = excluded.authorization_id,
        reason = excluded.reason, attempts = excluded.attempts, authorized_at = excluded.authorized_at,
        captured_at = excluded.captured_at, voided_at = excluded.voided_at, refunded_at = excluded.refunded_at`,
};

export function postgresPayments(pool: pg.Pool): Payments {
  return {
    async find(orderIds) {
      return byOrder(await query<PaymentRow>(pool, FIND, [orderIds]));
    },
    async lock(tx, orderIds) {
      return byOrder(await query<PaymentRow>(clientOf(tx), LOCK, [orderIds]));
    },
    async save(tx, payments) {
      if (payments.length > 0) await query(clientOf(tx), SAVE, ROWS.values(payments.map(toColumns)));
    },
  };
}

function byOrder({ rows }: { rows: PaymentRow[] }): Map<OrderId, Payment> {
  return new Map(rows.map((row) => [row.order_id as OrderId, toPayment(row)]));
}

function toPayment(row: PaymentRow): Payment {
  const minor = (amount: string) => Number(amount.replace('.', ''));
  return {
    orderId: row.order_id as OrderId,
    currency: row.currency,
    state: row.state as PaymentState,
    version: row.version,
    requestedMinor: minor(row.requested),
    authorizedMinor: minor(row.authorized),
    capturedMinor: minor(row.captured),
    refundedMinor: minor(row.refunded),
    ...(row.authorization_id === null ? {} : { authorizationId: row.authorization_id }),
    ...(row.reason === null ? {} : { reason: row.reason }),
    attempts: row.attempts,
    requestedAt: row.requested_at.getTime(),
    ...(row.authorized_at === null ? {} : { authorizedAt: row.authorized_at.getTime() }),
    ...(row.captured_at === null ? {} : { capturedAt: row.captured_at.getTime() }),
    ...(row.voided_at === null ? {} : { voidedAt: row.voided_at.getTime() }),
    ...(row.refunded_at === null ? {} : { refundedAt: row.refunded_at.getTime() }),
  };
}

function toColumns(payment: Payment) {
  const time = (at: number | undefined) => (at === undefined ? undefined : toRfc3339(at));
  return {
    order_id: payment.orderId,
    currency: payment.currency,
    state: payment.state,
    version: payment.version,
    requested: toDecimalText(payment.requestedMinor),
    authorized: toDecimalText(payment.authorizedMinor),
    captured: toDecimalText(payment.capturedMinor),
    refunded: toDecimalText(payment.refundedMinor),
    authorization_id: payment.authorizationId,
    reason: payment.reason,
    attempts: payment.attempts,
    requested_at: toRfc3339(payment.requestedAt),
    authorized_at: time(payment.authorizedAt),
    captured_at: time(payment.capturedAt),
    voided_at: time(payment.voidedAt),
    refunded_at: time(payment.refundedAt),
  };
}

/** The payment ledger on a real Postgres: reading and saving, locks, and constraints on the amounts. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import type { OrderId } from '../../../internal/domain/order.ts';
import { afterStep, newPayment, type Payment } from '../../../internal/domain/payment.ts';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { postgresPayments } from '../../../internal/repository/postgres/payments/payments.ts';
import { postgresTransactions } from '../../../internal/repository/postgres/transactions.ts';
import type { Payments } from '../../../internal/service/payments/ports.ts';
import type { Transactions } from '../../../internal/service/ports.ts';
import { CONTENTS, placedOrder } from '../../support/builders.ts';
import { NOON } from '../../support/manual-clock.ts';
import { freshDatabase } from '../../support/servers.ts';

describe('the ledger', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  let payments: Payments;
  let transactions: Transactions;

  before(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    pool = openPool(database.url, { max: 4, onError: () => {} });
    payments = postgresPayments(pool);
    transactions = postgresTransactions(pool, () => {});
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });
  beforeEach(async () => {
    await pool.query('TRUNCATE payments');
  });

  const DONE = { outcome: 'done' } as const;
  const pending = (id: string) => {
    const order = placedOrder({ content: { ...CONTENTS.items, id } });
    return afterStep(newPayment(order, NOON), 'authorize', { outcome: 'none' }, NOON);
  };
  const authorized = (id: string) =>
    afterStep(pending(id), 'authorize', { outcome: 'done', authorizationId: `of ${id}` }, NOON + 1);
  const captured = (id: string) => afterStep(authorized(id), 'capture', DONE, NOON + 2);
  const save = (...all: Payment[]) => transactions.run((tx) => payments.save(tx, all));
  const found = async (...ids: string[]) => [...(await payments.find(ids as OrderId[])).values()];
  const byId = (a: Payment, b: Payment) => (a.orderId < b.orderId ? -1 : 1);
  /** Sorted, and without undefined fields, which a row cannot tell from absent ones. */
  const plain = (all: Payment[]) => JSON.parse(JSON.stringify([...all].sort(byId)));

  it('payments in every state are saved in one statement and read back unchanged', async () => {
    const all = [
      pending('a'),
      authorized('b'),
      afterStep(pending('c'), 'authorize', { outcome: 'declined', reason: 'CARD_DECLINED' }, NOON),
      captured('d'),
      afterStep(authorized('e'), 'void', DONE, NOON + 3),
      afterStep(captured('f'), 'refund', DONE, NOON + 3),
      afterStep(pending('g'), 'abandon', DONE, NOON),
    ];
    await save(...all);
    assert.deepEqual(plain(await found('a', 'b', 'c', 'd', 'e', 'f', 'g', 'unknown')), plain(all));
  });

  it('the largest amount is stored exactly, to the cent', async () => {
    const largest = { ...pending('a'), requestedMinor: 999_999_999_999 };
    await save(largest, { ...pending('b'), requestedMinor: 1 });
    assert.deepEqual(
      (await found('a', 'b')).map((payment) => payment.requestedMinor).sort(),
      [1, 999_999_999_999],
    );
  });

  const WRONG: readonly [what: string, payment: Payment][] = [
    ['an authorized amount above the requested amount', { ...authorized('a'), authorizedMinor: 1251 }],
    ['a captured amount above the authorized amount', { ...captured('a'), capturedMinor: 1251 }],
    ['a refunded amount above the captured amount', { ...captured('a'), refundedMinor: 1251 }],
    ['a requested amount of zero', { ...pending('a'), requestedMinor: 0 }],
    ['a PENDING payment with an authorized amount', { ...pending('a'), authorizedMinor: 1 }],
    ['an AUTHORIZED payment without an authorization id', { ...authorized('a'), authorizationId: undefined }],
    ['an AUTHORIZED payment with a captured amount', { ...captured('a'), state: 'AUTHORIZED' }],
    ['a CAPTURED payment without a captured amount', { ...authorized('a'), state: 'CAPTURED' }],
    [
      'a REFUNDED payment with a partial refund',
      { ...captured('a'), state: 'REFUNDED', refundedAt: NOON, refundedMinor: 1 },
    ],
    ['a VOIDED payment without a void time', { ...authorized('a'), state: 'VOIDED' }],
    ['a FAILED payment without a reason', { ...pending('a'), state: 'FAILED' }],
  ];
  for (const [what, payment] of WRONG) {
    it(`a check constraint refuses ${what}`, async () => {
      await assert.rejects(save(payment), { code: '23514' });
    });
  }
});

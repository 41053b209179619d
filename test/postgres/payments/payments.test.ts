/** The ledger on a real Postgres: what goes in comes out, and the database itself refuses books that do not add up. */
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
  /** Without what is undefined: a row has no such difference. */
  const plain = (all: Payment[]) => JSON.parse(JSON.stringify([...all].sort(byId)));

  it('keeps every state as it is, many in one statement', async () => {
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

  it('changes what is there', async () => {
    for (const payment of [pending('a'), authorized('a'), captured('a')]) {
      await save(payment);
      assert.deepEqual(plain(await found('a')), plain([payment]));
    }
  });

  it('keeps the largest amount to the cent', async () => {
    const largest = { ...pending('a'), requestedMinor: 999_999_999_999 };
    await save(largest, { ...pending('b'), requestedMinor: 1 });
    assert.deepEqual(
      (await found('a', 'b')).map((payment) => payment.requestedMinor).sort(),
      [1, 999_999_999_999],
    );
  });

  it('makes whoever wants the same payment wait until it is let go', async () => {
    await save(authorized('a'));
    const order: string[] = [];
    let second: Promise<unknown> | undefined;
    await transactions.run(async (tx) => {
      await payments.lock(tx, ['a' as OrderId]);
      second = transactions.run(async (other) => {
        const [payment] = (await payments.lock(other, ['a' as OrderId])).values();
        order.push(`second sees ${payment?.state}`);
      });
      await payments.save(tx, [captured('a')]);
      order.push('first');
    });
    await second;
    assert.deepEqual(order, ['first', 'second sees CAPTURED']);
  });

  it('gives a transaction that fails no effect', async () => {
    const failing = transactions.run(async (tx) => {
      await payments.save(tx, [authorized('a')]);
      throw new Error('killed');
    });
    await assert.rejects(failing, /killed/);
    assert.deepEqual(await found('a'), []);
  });

  const WRONG: readonly [what: string, payment: Payment][] = [
    ['more is authorized than was asked for', { ...authorized('a'), authorizedMinor: 1251 }],
    ['more is captured than was authorized', { ...captured('a'), capturedMinor: 1251 }],
    ['more is refunded than was captured', { ...captured('a'), refundedMinor: 1251 }],
    ['nothing is asked for', { ...pending('a'), requestedMinor: 0 }],
    ['a pending payment holds money', { ...pending('a'), authorizedMinor: 1 }],
    ['an authorization has no id', { ...authorized('a'), authorizationId: undefined }],
    ['something captured is still AUTHORIZED', { ...captured('a'), state: 'AUTHORIZED' }],
    ['something CAPTURED is nothing', { ...authorized('a'), state: 'CAPTURED' }],
    ['a refund is not whole', { ...captured('a'), state: 'REFUNDED', refundedAt: NOON, refundedMinor: 1 }],
    ['something VOIDED has no time', { ...authorized('a'), state: 'VOIDED' }],
    ['something FAILED has no reason', { ...pending('a'), state: 'FAILED' }],
  ];
  for (const [what, payment] of WRONG) {
    it(`refuses a row where ${what}`, async () => {
      await assert.rejects(save(payment), { code: '23514' });
    });
  }
});

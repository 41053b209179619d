/** Timers on a real Postgres: one of each kind for an order, set in transactions and read in pages. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import type { OrderId } from '../../../internal/domain/order.ts';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { postgresTimers } from '../../../internal/repository/postgres/scheduling/timers.ts';
import { postgresTransactions } from '../../../internal/repository/postgres/transactions.ts';
import type { Transactions } from '../../../internal/service/ports.ts';
import type { Timer, Timers } from '../../../internal/service/scheduling/ports.ts';
import { setTimers } from '../../../internal/service/scheduling/set-timers.ts';
import { memoryQueue } from '../../support/in-memory-queue.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { freshDatabase } from '../../support/servers.ts';

const timer = (orderId: string, kind: Timer['kind'], dueAt: number): Timer => ({
  orderId: orderId as OrderId,
  kind,
  dueAt,
});
const FOREVER = { from: 0, to: Number.POSITIVE_INFINITY };

describe('the timers', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  let timers: Timers;
  let transactions: Transactions;

  before(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    pool = openPool(database.url, { max: 4, onError: () => {} });
    timers = postgresTimers(pool);
    transactions = postgresTransactions(pool, () => {});
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });
  beforeEach(async () => {
    await pool.query('TRUNCATE timers');
  });

  const set = (...some: Timer[]) => transactions.run((tx) => timers.set(tx, some));
  async function read(window: { from: number; to: number } = FOREVER): Promise<Timer[]> {
    const all: Timer[] = [];
    for await (const page of timers.waiting(window)) all.push(...page);
    return all;
  }

  it('timers are read nearest due time first, exact to the millisecond', async () => {
    const [late, near, far] = [
      timer('a', 'rider', NOON - 1),
      timer('b', 'eta', NOON + 123),
      timer('a', 'payment', NOON + 400 * 24 * 3_600_000 + 7),
    ];
    await set(far, late, near);
    assert.deepEqual(await read(), [late, near, far]);
  });

  it('timers are read in pages, each timer once, even if thousands are due in one millisecond', async () => {
    const many = Array.from({ length: 25_003 }, (_, n) =>
      timer(`order-${n >> 1}`, n % 2 ? 'eta' : 'rider', NOON + (n < 21_000 ? 0 : n)),
    );
    await set(...many);
    const pages: number[] = [];
    const names = new Set<string>();
    let last = 0;
    for await (const page of timers.waiting(FOREVER)) {
      pages.push(page.length);
      for (const { orderId, kind, dueAt } of page) {
        names.add(`${kind}:${orderId}`);
        assert.ok(dueAt >= last, 'nearest first');
        last = dueAt;
      }
    }
    assert.equal(names.size, many.length);
    assert.equal(
      pages.reduce((sum, size) => sum + size, 0),
      many.length,
    );
    assert.ok(pages.length > 1, 'more than one page');
  });

  it('concurrent transactions that set the same timers in opposite orders do not deadlock', async () => {
    const names = Array.from({ length: 40 }, (_, n) => `order-${n}`);
    await Promise.all(
      Array.from({ length: 12 }, (_, round) =>
        set(...(round % 2 ? names : names.toReversed()).map((name) => timer(name, 'eta', NOON + round))),
      ),
    );
    assert.equal((await read()).length, names.length);
  });

  it('a timer is added to the due queue after its transaction has committed, and not before', async () => {
    const queue = memoryQueue(manualClock());
    const wanted = timer('a', 'rider', NOON + 5);
    const afterwards: (() => Promise<void>)[] = [];
    await transactions.run((tx) =>
      setTimers({ timers, queue }, tx, [wanted], (work) => afterwards.push(work)),
    );
    assert.deepEqual(await read(), [wanted]);
    assert.equal(queue.scoreOf(wanted.orderId, 'rider'), undefined, 'the timer is queued only afterwards');
    for (const work of afterwards) await work();
    assert.equal(queue.scoreOf(wanted.orderId, 'rider'), wanted.dueAt);
    await transactions.run((tx) =>
      setTimers({ timers, queue }, tx, [], () => assert.fail('there is nothing to schedule')),
    );
  });
});

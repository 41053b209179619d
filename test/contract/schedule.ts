/** What every store of due times does: waiting orders, orders in flight, timers, and the switch. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Timer } from '../../internal/service/scheduling/ports.ts';
import { movedTo, placedOrder } from '../support/builders.ts';
import { NOON } from '../support/manual-clock.ts';
import { opened } from './transactions.ts';
import { hasEnded, id, type Stores, seed, type World } from './worlds.ts';

const FOREVER = { from: 0, to: Number.POSITIVE_INFINITY };
const timer = (orderId: string, kind: Timer['kind'], ms: number): Timer => ({
  orderId: id(orderId),
  kind,
  dueAt: NOON + ms,
});

async function all<T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> {
  const rows: T[] = [];
  for await (const page of pages) rows.push(...page);
  return rows;
}

export function scheduleContract(name: string, world: World): void {
  describe(`the schedule ${name}`, { timeout: 120_000 }, () => {
    const holds = (sentence: string, check: (stores: Stores) => Promise<void>) =>
      it(sentence, () => world(check));
    const set = ({ transactions, timers }: Stores, ...some: Timer[]) =>
      transactions.run((tx) => timers.set(tx, some));
    const waitsAt = (name: string, ms: number) =>
      placedOrder({ content: { id: name }, scheduledAt: NOON + ms });

    holds(
      'waiting orders are read nearest due time first, from the start of a window to before its end',
      async (stores) => {
        const { orderSchedule } = stores;
        const orders = [waitsAt('c', 2_000), waitsAt('d', 1_000), waitsAt('b', 2_000), waitsAt('a', 3_000)];
        await seed(stores, ...orders, movedTo(waitsAt('e', 1_000), 'PROCESSING'));
        const due = async (from: number, to: number) =>
          (await all(orderSchedule.waiting({ from, to }))).map(({ orderId }) => orderId);
        assert.deepEqual(await due(0, Number.POSITIVE_INFINITY), ['d', 'b', 'c', 'a']);
        assert.deepEqual(await due(NOON + 1_000, NOON + 3_000), ['d', 'b', 'c']);
        assert.deepEqual(await due(NOON + 3_001, NOON + 9_000), []);
        const still = await orderSchedule.stillWaiting(['a', 'e', 'nobody', 'a'].map(id));
        assert.deepEqual(still, [{ orderId: 'a', dueAt: NOON + 3_000 }]);
      },
    );

    holds('the orders in flight are those that were started and have not ended', async (stores) => {
      const running = movedTo(waitsAt('runs', 1_000), 'PROCESSING');
      const done = movedTo(waitsAt('done', 1_000), 'PROCESSING', 'COMPLETED');
      await seed(stores, waitsAt('waits', 1_000), running, done);
      assert.deepEqual(await all(stores.orderSchedule.inFlight()), [running]);
    });

    holds(
      'an order has one timer of each kind: setting it again moves it, and the last one of a batch counts',
      async (stores) => {
        await set(stores, timer('a', 'eta', 5), timer('a', 'rider', 1), timer('b', 'eta', 2));
        await set(stores, timer('a', 'eta', 3), timer('a', 'eta', 9));
        assert.deepEqual(await all(stores.timers.waiting(FOREVER)), [
          timer('a', 'rider', 1),
          timer('b', 'eta', 2),
          timer('a', 'eta', 9),
        ]);
        const window = { from: NOON + 1, to: NOON + 9 };
        assert.deepEqual(await all(stores.timers.waiting(window)), [
          timer('a', 'rider', 1),
          timer('b', 'eta', 2),
        ]);
      },
    );

    holds(
      'timers are cleared by order and kind, and clearing an unknown one does nothing',
      async (stores) => {
        await set(stores, timer('a', 'eta', 0), timer('a', 'rider', 1));
        await stores.transactions.run(async (tx) => {
          await stores.timers.clear(tx, [timer('a', 'eta', 0), timer('b', 'rider', 0)]);
          await stores.timers.clear(tx, []);
          await stores.timers.set(tx, []);
          const due = await stores.timers.dueAt(tx, 'rider', [id('a'), id('b')]);
          assert.deepEqual(due, new Map([['a', NOON + 1]]));
        });
        assert.deepEqual(await all(stores.timers.waiting(FOREVER)), [timer('a', 'rider', 1)]);
      },
    );

    holds('who sets a timer that another transaction is setting waits, and is the last', async (stores) => {
      const open = await opened(stores, (tx) => stores.timers.set(tx, [timer('a', 'eta', 1)]));
      const second = set(stores, timer('a', 'eta', 2));
      assert.equal(await hasEnded(stores, second), false);
      assert.deepEqual(await all(stores.timers.waiting(FOREVER)), []);
      await open.commit();
      await second;
      assert.deepEqual(await all(stores.timers.waiting(FOREVER)), [timer('a', 'eta', 2)]);
    });

    holds('the switch is off until it is set', async ({ schedulerSwitch }) => {
      const states = [await schedulerSwitch.isPaused()];
      for (const paused of [true, false]) {
        await schedulerSwitch.setPaused(paused);
        states.push(await schedulerSwitch.isPaused());
      }
      assert.deepEqual(states, [false, true, false]);
    });
  });
}

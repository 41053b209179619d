/** The timer contract for every due queue: timers wait in the same queue as orders. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import type { TimerKind } from '../../internal/domain/schedule.ts';
import { claimAll, manyOrders, type QueueHarness, scenariosOn } from './due-queue.ts';

const LIMIT = 1_000;
const SHORT_MS = 40;
const HOUR_MS = 3_600_000;

const id = (name: string) => name as OrderId;
const KINDS: readonly TimerKind[] = [
  'deadline',
  'checks',
  'logic',
  'rider',
  'eta',
  'notification',
  'payment',
];

export function dueQueueTimersContract(name: string, harness: QueueHarness): void {
  describe(`${name} fulfils the timer contract of a due queue`, () => {
    const scenario = scenariosOn(harness);

    scenario(
      'an order and its timers of several kinds are each claimed at their own due time',
      async ({ queue, at }) => {
        const added = await queue.schedule([
          { orderId: id('one'), dueAt: at - 9 },
          { orderId: id('one'), kind: 'eta', dueAt: at - 7 },
          { orderId: id('one'), kind: 'rider', dueAt: at - 8 },
          { orderId: id('one'), kind: 'payment', dueAt: at + HOUR_MS },
          { orderId: id('two'), kind: 'eta', dueAt: at - 6 },
        ]);
        assert.equal(added, 5);
        const { due, redelivered, timers, lease } = await queue.claim(0, LIMIT);
        assert.deepEqual(
          { due, redelivered, timers },
          {
            due: [{ orderId: 'one', dueAt: at - 9 }],
            redelivered: [],
            timers: [
              { orderId: 'one', kind: 'rider', dueAt: at - 8 },
              { orderId: 'one', kind: 'eta', dueAt: at - 7 },
              { orderId: 'two', kind: 'eta', dueAt: at - 6 },
            ],
          },
        );
        await queue.acknowledge(0, lease);
        assert.deepEqual(await queue.size(), { waiting: 1, due: 0 });
        assert.equal((await queue.claim(0, LIMIT)).nextDueAt, at + HOUR_MS);
      },
    );

    scenario('a claim returns each timer with its kind, and no timer as an order', async ({ queue, at }) => {
      const timers = KINDS.map((kind, index) => ({ orderId: id('order'), kind, dueAt: at - 10 + index }));
      await queue.schedule(timers);
      const claim = await queue.claim(0, LIMIT);
      assert.deepEqual([claim.timers, claim.due], [timers, []]);
    });

    scenario(
      'timers and orders count together towards the limit of a claim, earliest first',
      async ({ queue, at }) => {
        await queue.schedule([
          { orderId: id('a'), kind: 'eta', dueAt: at - 3 },
          { orderId: id('a'), dueAt: at - 2 },
          { orderId: id('b'), kind: 'rider', dueAt: at - 1 },
        ]);
        const first = await queue.claim(0, 2);
        assert.deepEqual([first.timers.length, first.due.length, first.full], [1, 1, true]);
        const second = await queue.claim(0, 2);
        assert.deepEqual([second.timers.length, second.due.length, second.full], [1, 0, false]);
      },
    );

    scenario(
      'an acknowledgement keeps a timer that was rescheduled after its claim',
      async ({ queue, at }) => {
        await queue.schedule([
          { orderId: id('moved'), kind: 'eta', dueAt: at },
          { orderId: id('moved'), kind: 'rider', dueAt: at },
          { orderId: id('moved'), dueAt: at },
        ]);
        const { lease } = await queue.claim(0, LIMIT);
        await queue.schedule([{ orderId: id('moved'), kind: 'eta', dueAt: at + HOUR_MS }]);
        await queue.acknowledge(0, lease);
        const { due, redelivered, timers, nextDueAt } = await queue.claim(0, LIMIT);
        assert.deepEqual([due, redelivered, timers, nextDueAt], [[], [], [], at + HOUR_MS]);
        assert.equal((await queue.size()).waiting, 1);
      },
    );

    scenario('scheduling with onlyMissing adds only the missing timer', async ({ queue, at }) => {
      const [there, missing] = [id('there'), id('missing')];
      await queue.schedule([
        { orderId: there, kind: 'eta', dueAt: at + HOUR_MS },
        { orderId: missing, kind: 'rider', dueAt: at + HOUR_MS },
      ]);
      const timers = [there, missing].map((orderId) => ({ orderId, kind: 'eta' as const, dueAt: at - 1 }));
      assert.equal(await queue.schedule(timers, { onlyMissing: true }), 1);
      assert.deepEqual((await queue.claim(0, LIMIT)).timers, [
        { orderId: missing, kind: 'eta', dueAt: at - 1 },
      ]);
    });

    scenario(
      'a redelivered timer is due now, because its lease replaced its due time',
      async ({ queue, at, until }) => {
        await queue.schedule([{ orderId: id('one'), kind: 'eta', dueAt: at }]);
        const first = await queue.claim(0, LIMIT);
        assert.deepEqual(first.timers, [{ orderId: 'one', kind: 'eta', dueAt: at }]);
        await until(Math.ceil(Number(first.lease)));
        const second = await queue.claim(0, LIMIT);
        assert.deepEqual(second.timers, [{ orderId: 'one', kind: 'eta', dueAt: second.now }]);
        assert.deepEqual([second.due, second.redelivered], [[], []], 'a timer is never returned as an order');
        await queue.acknowledge(0, first.lease);
        assert.equal((await queue.size()).waiting, 1, 'the second lease replaced the first');
        await queue.acknowledge(0, second.lease);
        assert.equal((await queue.size()).waiting, 0);
      },
      { leaseMs: SHORT_MS },
    );

    scenario(
      'removing one kind of timer keeps the order and its other timers, and removing the order keeps its timers',
      async ({ queue, at }) => {
        const orderId = id('one');
        await queue.schedule([
          { orderId, dueAt: at },
          { orderId, kind: 'eta', dueAt: at },
          { orderId, kind: 'rider', dueAt: at },
        ]);
        await queue.remove([orderId, id('never-was')], 'eta');
        assert.equal((await queue.size()).waiting, 2);
        await queue.remove([orderId]);
        const { due, timers } = await queue.claim(0, LIMIT);
        assert.deepEqual([due, timers], [[], [{ orderId, kind: 'rider', dueAt: at }]]);
        await queue.remove([orderId], 'rider');
        assert.equal((await queue.size()).waiting, 0, 'a leased timer is removed too');
      },
    );

    scenario(
      'an order and its timers share a shard, and timers are removed from that shard',
      async ({ queue, at }) => {
        const orders = manyOrders(60, at - 100);
        await queue.schedule(orders);
        for (const kind of KINDS) await queue.schedule(orders.map((order) => ({ ...order, kind })));
        const claims = await claimAll(queue);
        assert.ok(claims.filter(({ due }) => due.length > 0).length > 1, 'the orders are spread');
        for (const { due, timers } of claims) {
          const own = new Set(due.map(({ orderId }) => orderId));
          assert.equal(timers.length, own.size * KINDS.length);
          assert.ok(timers.every(({ orderId }) => own.has(orderId)));
        }
        const ids = orders.map(({ orderId }) => orderId);
        for (const kind of KINDS) await queue.remove(ids, kind);
        assert.equal((await queue.size()).waiting, 60);
      },
      { shards: 4 },
    );

    scenario('a lost or paused queue claims no timers', async ({ queue, at, lose }) => {
      await queue.schedule([{ orderId: id('one'), kind: 'eta', dueAt: at }]);
      await queue.setState('paused');
      assert.deepEqual((await queue.claim(0, LIMIT)).timers, []);
      await lose();
      await queue.schedule([{ orderId: id('one'), kind: 'eta', dueAt: at }]);
      assert.deepEqual((await queue.claim(0, LIMIT)).timers, []);
    });
  });
}

/** Orders that are due one millisecond after another. */

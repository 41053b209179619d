/** What every due queue must do, wherever it keeps its orders. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import type { TimerKind } from '../../internal/domain/schedule.ts';
import type { Claim, DueQueue, Waiting } from '../../internal/service/scheduling/ports.ts';

export interface QueueHarness {
  /** A queue that no other test uses, empty and running. */
  open(options: { shards: number; leaseMs: number }): Promise<OpenQueue>;
}

export interface OpenQueue {
  readonly queue: DueQueue;
  /** The queue's own time, epoch ms. */
  now(): Promise<number>;
  /** Resolves when the queue's own time has come this far. */
  until(time: number): Promise<void>;
  /** Loses everything, state included. */
  lose(): Promise<void>;
  close(): Promise<void>;
}

const LIMIT = 1_000;
/** Longer than any test here takes, for leases that must not run out. */
const LONG_MS = 60_000;
const SHORT_MS = 40;
const HOUR_MS = 3_600_000;

const id = (name: string) => name as OrderId;
const KINDS: readonly TimerKind[] = ['deadline', 'checks', 'rider', 'eta', 'notification', 'payment'];

export function dueQueueContract(name: string, harness: QueueHarness): void {
  describe(`${name} keeps the contract of a due queue`, () => {
    const scenario = (
      sentence: string,
      run: (opened: OpenQueue & { at: number }) => Promise<void>,
      { shards = 1, leaseMs = LONG_MS } = {},
    ) =>
      test(sentence, { timeout: 120_000 }, async () => {
        const opened = await harness.open({ shards, leaseMs });
        try {
          await run({ ...opened, at: await opened.now() });
        } finally {
          await opened.close();
        }
      });

    scenario('what is due is claimed in the order of its times, with its times', async ({ queue, at }) => {
      const added = await queue.schedule([
        { orderId: id('third'), dueAt: at - 1 },
        { orderId: id('first'), dueAt: at - 30 },
        { orderId: id('second'), dueAt: at - 20 },
      ]);
      assert.equal(added, 3);
      const { due, redelivered, state, full } = await queue.claim(0, LIMIT);
      assert.deepEqual(
        { due, redelivered, state, full },
        {
          due: [
            { orderId: 'first', dueAt: at - 30 },
            { orderId: 'second', dueAt: at - 20 },
            { orderId: 'third', dueAt: at - 1 },
          ],
          redelivered: [],
          state: 'running',
          full: false,
        },
      );
    });

    scenario('nothing is claimed before its time, and the next time is told', async ({ queue, at }) => {
      await queue.schedule([
        { orderId: id('later'), dueAt: at + 2 * HOUR_MS },
        { orderId: id('soon'), dueAt: at + HOUR_MS },
      ]);
      const { due, nextDueAt } = await queue.claim(0, LIMIT);
      assert.deepEqual({ due, nextDueAt }, { due: [], nextDueAt: at + HOUR_MS });
    });

    scenario(
      'an order is claimed once its time has come, and never by a clock that is behind it',
      async ({ queue, at, until }) => {
        const dueAt = at + 30;
        await queue.schedule([{ orderId: id('soon'), dueAt }]);
        await until(dueAt);
        const claim = await queue.claim(0, LIMIT);
        assert.deepEqual(claim.due, [{ orderId: 'soon', dueAt }]);
        assert.ok(claim.now >= dueAt);
      },
    );

    scenario('an empty queue has no next time', async ({ queue }) => {
      const { due, redelivered, nextDueAt, state, full } = await queue.claim(0, LIMIT);
      assert.deepEqual(
        { due, redelivered, nextDueAt, state, full },
        { due: [], redelivered: [], nextDueAt: undefined, state: 'running', full: false },
      );
    });

    scenario(
      'what is claimed stays in the queue under its lease and is not claimed by another',
      async ({ queue, at }) => {
        await queue.schedule([{ orderId: id('one'), dueAt: at }]);
        const first = await queue.claim(0, LIMIT);
        assert.ok(Number(first.lease) > first.now, 'the lease ends later than now');
        const second = await queue.claim(0, LIMIT);
        assert.deepEqual([second.due, second.redelivered], [[], []]);
        assert.deepEqual(await queue.size(), { waiting: 1, due: 0 });
        assert.ok(
          first.nextDueAt !== undefined && first.nextDueAt > first.now,
          'it is next due when its lease ends',
        );
      },
    );

    scenario('two that claim at once never claim the same order', async ({ queue, at }) => {
      const orders = manyOrders(500, at - 500);
      await queue.schedule(orders);
      const claims = await Promise.all(Array.from({ length: 20 }, () => queue.claim(0, 30)));
      const claimed = claims.flatMap(({ due }) => due.map(({ orderId }) => orderId));
      assert.equal(claimed.length, 500);
      assert.equal(new Set(claimed).size, 500);
    });

    scenario('what is acknowledged is gone, and only that', async ({ queue, at }) => {
      await queue.schedule(manyOrders(5, at - 5));
      // Two claims of one moment: their leases still differ.
      const [first, second] = await Promise.all([queue.claim(0, 2), queue.claim(0, 2)]);
      assert.notEqual(first.lease, second.lease);
      await queue.acknowledge(0, first.lease);
      assert.deepEqual(await queue.size(), { waiting: 3, due: 1 });
      await queue.acknowledge(0, first.lease);
      assert.deepEqual(await queue.size(), { waiting: 3, due: 1 });
      await queue.acknowledge(0, second.lease);
      assert.deepEqual(await queue.size(), { waiting: 1, due: 1 });
    });

    scenario(
      'what is not acknowledged is claimed again when its lease is over, and reported so',
      async ({ queue, at, until }) => {
        await queue.schedule([{ orderId: id('one'), dueAt: at }]);
        const first = await queue.claim(0, LIMIT);
        assert.deepEqual([first.due.length, first.redelivered], [1, []]);
        for (let round = 0, lease = first.lease; round < 2; round += 1) {
          await until(Math.ceil(Number(lease)));
          const next = await queue.claim(0, LIMIT);
          assert.deepEqual([next.due, next.redelivered], [[], ['one']]);
          assert.ok(Number(next.lease) > Number(lease));
          lease = next.lease;
        }
      },
      { leaseMs: SHORT_MS },
    );

    scenario(
      'an acknowledgement that comes after the lease was taken over removes nothing',
      async ({ queue, at, until }) => {
        await queue.schedule([{ orderId: id('one'), dueAt: at }]);
        const first = await queue.claim(0, LIMIT);
        await until(Math.ceil(Number(first.lease)));
        const second = await queue.claim(0, LIMIT);
        assert.deepEqual(second.redelivered, ['one']);
        await queue.acknowledge(0, first.lease);
        assert.equal((await queue.size()).waiting, 1);
        await queue.acknowledge(0, second.lease);
        assert.equal((await queue.size()).waiting, 0);
      },
      { leaseMs: SHORT_MS },
    );

    scenario(
      'an order that is rescheduled between claim and acknowledgement survives',
      async ({ queue, at }) => {
        await queue.schedule([
          { orderId: id('moved'), dueAt: at },
          { orderId: id('done'), dueAt: at },
        ]);
        const { lease } = await queue.claim(0, LIMIT);
        await queue.schedule([{ orderId: id('moved'), dueAt: at + HOUR_MS }]);
        await queue.acknowledge(0, lease);
        const { due, redelivered, nextDueAt } = await queue.claim(0, LIMIT);
        assert.deepEqual(
          { due, redelivered, nextDueAt },
          { due: [], redelivered: [], nextDueAt: at + HOUR_MS },
        );
      },
    );

    scenario('an order that is rescheduled moves, and counts once', async ({ queue, at }) => {
      await queue.schedule([{ orderId: id('one'), dueAt: at + HOUR_MS }]);
      assert.equal(await queue.schedule([{ orderId: id('one'), dueAt: at - 5 }]), 0);
      assert.deepEqual(await queue.size(), { waiting: 1, due: 1 });
      assert.deepEqual((await queue.claim(0, LIMIT)).due, [{ orderId: 'one', dueAt: at - 5 }]);
    });

    scenario('only what is missing is added when that is asked for', async ({ queue, at }) => {
      await queue.schedule([{ orderId: id('there'), dueAt: at + HOUR_MS }]);
      const orders = ['there', 'missing'].map((name) => ({ orderId: id(name), dueAt: at - 1 }));
      assert.equal(await queue.schedule(orders, { onlyMissing: true }), 1);
      const { due, nextDueAt, lease } = await queue.claim(0, LIMIT);
      assert.deepEqual(due, [{ orderId: 'missing', dueAt: at - 1 }]);
      assert.equal(nextDueAt, Math.min(Number(lease), at + HOUR_MS));
    });

    scenario('only what is missing leaves a lease as it is', async ({ queue, at }) => {
      await queue.schedule([{ orderId: id('one'), dueAt: at }]);
      const { lease } = await queue.claim(0, LIMIT);
      assert.equal(await queue.schedule([{ orderId: id('one'), dueAt: at }], { onlyMissing: true }), 0);
      assert.deepEqual((await queue.claim(0, LIMIT)).due, []);
      await queue.acknowledge(0, lease);
      assert.equal((await queue.size()).waiting, 0);
    });

    scenario('what is removed is never claimed, even under a lease', async ({ queue, at }) => {
      await queue.schedule(manyOrders(3, at - 3));
      await queue.remove([id('order-0'), id('never-was')]);
      const { due } = await queue.claim(0, LIMIT);
      assert.deepEqual(due.map(({ orderId }) => orderId).sort(), ['order-1', 'order-2']);
      await queue.remove([id('order-1')]);
      await queue.remove([]);
      assert.equal((await queue.size()).waiting, 1);
    });

    scenario(
      'no more than the limit is claimed, nearest first, and a full claim says so',
      async ({ queue, at }) => {
        await queue.schedule(manyOrders(5, at - 10));
        const sizes: [number, boolean][] = [];
        const claimed: string[] = [];
        for (let pass = 0; pass < 3; pass += 1) {
          const { due, full } = await queue.claim(0, 2);
          sizes.push([due.length, full]);
          claimed.push(...due.map(({ orderId }) => orderId));
        }
        assert.deepEqual(sizes, [
          [2, true],
          [2, true],
          [1, false],
        ]);
        assert.deepEqual(claimed, ['order-0', 'order-1', 'order-2', 'order-3', 'order-4']);
      },
    );

    scenario('a full claim tells when the next is due, which may be already', async ({ queue, at }) => {
      await queue.schedule(manyOrders(3, at - 10));
      assert.equal((await queue.claim(0, 2)).nextDueAt, at - 8);
    });

    scenario(
      'a queue that was lost claims nothing until it is said to be complete',
      async ({ queue, at, lose }) => {
        await lose();
        await queue.schedule([{ orderId: id('one'), dueAt: at }]);
        const lost = await queue.claim(0, LIMIT);
        assert.deepEqual([lost.state, lost.due, lost.redelivered], ['lost', [], []]);
        assert.ok(lost.now >= at, 'the time is told all the same');
        await queue.setState('running');
        const { state, due } = await queue.claim(0, LIMIT);
        assert.deepEqual([state, due.length], ['running', 1]);
      },
    );

    scenario('a paused queue claims nothing, and goes on where it was', async ({ queue, at }) => {
      await queue.schedule([{ orderId: id('one'), dueAt: at }]);
      await queue.setState('paused');
      const paused = await queue.claim(0, LIMIT);
      assert.deepEqual([paused.state, paused.due], ['paused', []]);
      assert.deepEqual(await queue.size(), { waiting: 1, due: 1 });
      await queue.setState('running');
      assert.equal((await queue.claim(0, LIMIT)).due.length, 1);
    });

    scenario(
      'a lost queue stays lost when its state is set only if it is complete',
      async ({ queue, lose }) => {
        await queue.setState('paused', { ifComplete: true });
        assert.equal((await queue.claim(0, LIMIT)).state, 'paused');
        await lose();
        await queue.setState('running', { ifComplete: true });
        assert.equal((await queue.claim(0, LIMIT)).state, 'lost');
      },
    );

    scenario('a mark is there until it is taken up, and lost with all else', async ({ queue, lose }) => {
      const [one, other, lost] = await Promise.all([queue.mark(), queue.mark(), queue.mark()]);
      assert.equal(await one(), true);
      assert.equal(await other(), true);
      await lose();
      const later = await queue.mark();
      assert.deepEqual([await lost(), await later()], [false, true]);
    });

    scenario('an order may be due at time zero and have the longest of names', async ({ queue }) => {
      const orderId = id('a'.repeat(64));
      await queue.schedule([
        { orderId, dueAt: 0 },
        { orderId: id('A.b-c_9'), dueAt: 1 },
      ]);
      const { due } = await queue.claim(0, LIMIT);
      assert.deepEqual(due, [
        { orderId, dueAt: 0 },
        { orderId: 'A.b-c_9', dueAt: 1 },
      ]);
    });

    scenario(
      'several shards share the orders, and each order has one place',
      async ({ queue, at }) => {
        const orders = manyOrders(400, at - 1_000);
        assert.equal(await queue.schedule(orders), 400);
        assert.equal(await queue.schedule(orders), 0, 'they are found where they were put');
        const claims = await claimAll(queue);
        const sizes = claims.map(({ due }) => due.length);
        assert.ok(
          sizes.every((size) => size > 0),
          `every shard holds some: ${sizes}`,
        );
        assert.deepEqual(
          claims.flatMap(({ due }) => due).sort((a, b) => a.dueAt - b.dueAt),
          orders,
        );
        await Promise.all(claims.map(({ lease }, shard) => queue.acknowledge(shard, lease)));
        assert.deepEqual(await queue.size(), { waiting: 0, due: 0 });
      },
      { shards: 4 },
    );

    scenario(
      'pausing and removing reach every shard',
      async ({ queue, at }) => {
        const orders = manyOrders(40, at);
        await queue.schedule(orders);
        await queue.setState('paused');
        assert.deepEqual(
          (await claimAll(queue)).map(({ state }) => state),
          ['paused', 'paused', 'paused'],
        );
        await queue.remove(orders.map(({ orderId }) => orderId));
        assert.equal((await queue.size()).waiting, 0);
      },
      { shards: 3 },
    );

    scenario(
      'twenty thousand orders go in with one call and come out by the thousand',
      async ({ queue, at }) => {
        const orders = manyOrders(20_000, at - 30_000);
        assert.equal(await queue.schedule(orders), 20_000);
        assert.deepEqual(await queue.size(), { waiting: 20_000, due: 20_000 });
        const claimed = new Set<string>();
        for (let pass = 0; pass < 20; pass += 1) {
          const { due, lease, full } = await queue.claim(0, LIMIT);
          assert.deepEqual([due.length, full], [LIMIT, true]);
          for (const { orderId } of due) claimed.add(orderId);
          await queue.acknowledge(0, lease);
        }
        assert.equal(claimed.size, 20_000);
        assert.deepEqual(await queue.size(), { waiting: 0, due: 0 });
      },
    );

    scenario(
      'timers of several kinds wait beside their order, each for its own time',
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

    scenario('every kind of timer is told from every other, and from an order', async ({ queue, at }) => {
      const timers = KINDS.map((kind, index) => ({ orderId: id('order'), kind, dueAt: at - 10 + index }));
      await queue.schedule(timers);
      const claim = await queue.claim(0, LIMIT);
      assert.deepEqual([claim.timers, claim.due], [timers, []]);
    });

    scenario(
      'timers count towards the limit of a claim, nearest first, with the orders',
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

    scenario('a timer that is moved between claim and acknowledgement survives', async ({ queue, at }) => {
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
    });

    scenario('only a missing timer is added when that is asked for', async ({ queue, at }) => {
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
      'a timer that is claimed for the second time is due now, for its own time is lost to the lease',
      async ({ queue, at, until }) => {
        await queue.schedule([{ orderId: id('one'), kind: 'eta', dueAt: at }]);
        const first = await queue.claim(0, LIMIT);
        assert.deepEqual(first.timers, [{ orderId: 'one', kind: 'eta', dueAt: at }]);
        await until(Math.ceil(Number(first.lease)));
        const second = await queue.claim(0, LIMIT);
        assert.deepEqual(second.timers, [{ orderId: 'one', kind: 'eta', dueAt: second.now }]);
        assert.deepEqual([second.due, second.redelivered], [[], []], 'it is never taken for an order');
        await queue.acknowledge(0, first.lease);
        assert.equal((await queue.size()).waiting, 1, 'the lease was taken over');
        await queue.acknowledge(0, second.lease);
        assert.equal((await queue.size()).waiting, 0);
      },
      { leaseMs: SHORT_MS },
    );

    scenario(
      'removing a kind leaves the order itself and its other timers, and the other way round',
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
        assert.equal((await queue.size()).waiting, 0, 'even under a lease');
      },
    );

    scenario(
      'the shard of an order is that of its timers, and is reached when they are removed',
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

    scenario('a queue that is lost or paused claims no timers either', async ({ queue, at, lose }) => {
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
function manyOrders(count: number, from: number): Waiting[] {
  return Array.from({ length: count }, (_, index) => ({
    orderId: id(`order-${index}`),
    dueAt: from + index,
  }));
}

function claimAll(queue: DueQueue): Promise<Claim[]> {
  return Promise.all(Array.from({ length: queue.shards }, (_, shard) => queue.claim(shard, LIMIT)));
}

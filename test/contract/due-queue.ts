/** The contract that every due queue fulfils. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import type { Claim, DueQueue, Waiting } from '../../internal/service/scheduling/ports.ts';

export interface QueueHarness {
  /** A queue that no other test uses, empty and running. */
  open(options: { shards: number; leaseMs: number }): Promise<OpenQueue>;
}

export interface OpenQueue {
  readonly queue: DueQueue;
  /** The queue's own time, epoch ms. */
  now(): Promise<number>;
  /** Resolves when the queue's own time has reached `time`. */
  until(time: number): Promise<void>;
  /** Loses all of the queue's data, its state included. */
  lose(): Promise<void>;
  /** Loses the members, while the state stands. */
  loseMembers(): Promise<void>;
  close(): Promise<void>;
}

const LIMIT = 1_000;
/** Longer than any test here takes, so a lease does not expire during a test. */
const LONG_MS = 60_000;
const SHORT_MS = 40;
const HOUR_MS = 3_600_000;

const id = (name: string) => name as OrderId;

/** Declares tests that each open a queue of their own, and close it whatever happens. */
export function scenariosOn(harness: QueueHarness) {
  return (
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
}

export function dueQueueContract(name: string, harness: QueueHarness): void {
  describe(`${name} fulfils the contract of a due queue`, () => {
    const scenario = scenariosOn(harness);

    scenario(
      'due orders are claimed in the order of their due times, with those times',
      async ({ queue, at }) => {
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
      },
    );

    scenario(
      'no order is claimed before its due time, and the claim returns the next due time',
      async ({ queue, at }) => {
        await queue.schedule([
          { orderId: id('later'), dueAt: at + 2 * HOUR_MS },
          { orderId: id('soon'), dueAt: at + HOUR_MS },
        ]);
        const { due, nextDueAt } = await queue.claim(0, LIMIT);
        assert.deepEqual({ due, nextDueAt }, { due: [], nextDueAt: at + HOUR_MS });
      },
    );

    scenario(
      'an order is claimed once the time of the queue has reached its due time',
      async ({ queue, at, until }) => {
        const dueAt = at + 30;
        await queue.schedule([{ orderId: id('soon'), dueAt }]);
        await until(dueAt);
        const claim = await queue.claim(0, LIMIT);
        assert.deepEqual(claim.due, [{ orderId: 'soon', dueAt }]);
        assert.ok(claim.now >= dueAt);
      },
    );

    scenario('an empty queue has no next due time', async ({ queue }) => {
      const { due, redelivered, nextDueAt, state, full } = await queue.claim(0, LIMIT);
      assert.deepEqual(
        { due, redelivered, nextDueAt, state, full },
        { due: [], redelivered: [], nextDueAt: undefined, state: 'running', full: false },
      );
    });

    scenario(
      'a claimed order stays in the queue under its lease, and no other claim returns it',
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

    scenario('concurrent claims never return the same order', async ({ queue, at }) => {
      const orders = manyOrders(500, at - 500);
      await queue.schedule(orders);
      const claims = await Promise.all(Array.from({ length: 20 }, () => queue.claim(0, 30)));
      const claimed = claims.flatMap(({ due }) => due.map(({ orderId }) => orderId));
      assert.equal(claimed.length, 500);
      assert.equal(new Set(claimed).size, 500);
    });

    scenario('an acknowledgement removes exactly the orders of its lease', async ({ queue, at }) => {
      await queue.schedule(manyOrders(5, at - 5));
      // Leases differ even between concurrent claims.
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
      'an order that is not acknowledged is redelivered after its lease expires, and marked as redelivered',
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
      'an acknowledgement under a replaced lease removes no order',
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
      'an acknowledgement keeps an order that was rescheduled after its claim',
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

    scenario('a rescheduled order moves to its new due time and counts once', async ({ queue, at }) => {
      await queue.schedule([{ orderId: id('one'), dueAt: at + HOUR_MS }]);
      assert.equal(await queue.schedule([{ orderId: id('one'), dueAt: at - 5 }]), 0);
      assert.deepEqual(await queue.size(), { waiting: 1, due: 1 });
      assert.deepEqual((await queue.claim(0, LIMIT)).due, [{ orderId: 'one', dueAt: at - 5 }]);
    });

    scenario(
      'missing are the members that are neither waiting, nor leased, nor sent for the same due time',
      async ({ queue, at }) => {
        const due = (name: string, dueAt = at): Waiting => ({ orderId: id(name), dueAt });
        const timer: Waiting = { orderId: id('sent'), kind: 'eta', dueAt: at };
        await queue.schedule([due('waiting', at + HOUR_MS), due('sent'), timer]);
        const claim = await queue.claim(0, LIMIT);
        await queue.acknowledge(0, claim.lease, [...claim.due, ...claim.timers]);
        await queue.schedule([due('leased')]);
        await queue.claim(0, LIMIT);
        const known = [due('waiting'), due('leased'), due('sent'), timer];
        const unknown = [due('sent', at + 1), due('other'), { ...timer, kind: 'rider' as const }];
        assert.deepEqual(await queue.missing([...known, ...unknown]), unknown);
        assert.deepEqual(await queue.missing([]), []);
      },
    );

    scenario('scheduling with onlyMissing adds only the missing orders', async ({ queue, at }) => {
      await queue.schedule([{ orderId: id('there'), dueAt: at + HOUR_MS }]);
      const orders = ['there', 'missing'].map((name) => ({ orderId: id(name), dueAt: at - 1 }));
      assert.equal(await queue.schedule(orders, { onlyMissing: true }), 1);
      const { due, nextDueAt, lease } = await queue.claim(0, LIMIT);
      assert.deepEqual(due, [{ orderId: 'missing', dueAt: at - 1 }]);
      assert.equal(nextDueAt, Math.min(Number(lease), at + HOUR_MS));
    });

    scenario('scheduling with onlyMissing keeps the lease of a claimed order', async ({ queue, at }) => {
      await queue.schedule([{ orderId: id('one'), dueAt: at }]);
      const { lease } = await queue.claim(0, LIMIT);
      assert.equal(await queue.schedule([{ orderId: id('one'), dueAt: at }], { onlyMissing: true }), 0);
      assert.deepEqual((await queue.claim(0, LIMIT)).due, []);
      await queue.acknowledge(0, lease);
      assert.equal((await queue.size()).waiting, 0);
    });

    scenario(
      'scheduling with orEarlier also moves an order from a later time, and neither from an earlier one nor from its lease',
      async ({ queue, at }) => {
        await queue.schedule([
          { orderId: id('leased'), dueAt: at - 1 },
          { orderId: id('early'), dueAt: at + HOUR_MS },
          { orderId: id('late'), dueAt: at + 3 * HOUR_MS },
        ]);
        const { lease } = await queue.claim(0, LIMIT);
        const orders = ['leased', 'early', 'late', 'missing'].map((name) => ({
          orderId: id(name),
          dueAt: name === 'leased' ? at - 1 : at + 2 * HOUR_MS,
        }));
        assert.equal(await queue.schedule(orders, { onlyMissing: true, orEarlier: true }), 2);
        assert.deepEqual((await queue.claim(0, LIMIT)).due, []);
        await queue.acknowledge(0, lease);
        assert.equal((await queue.claim(0, LIMIT)).nextDueAt, at + HOUR_MS);
        await queue.remove([id('early')]);
        assert.equal((await queue.claim(0, LIMIT)).nextDueAt, at + 2 * HOUR_MS);
        assert.equal((await queue.size()).waiting, 2);
      },
    );

    scenario('a removed order is not claimed, and a leased order can be removed', async ({ queue, at }) => {
      await queue.schedule(manyOrders(3, at - 3));
      await queue.remove([id('order-0'), id('never-was')]);
      const { due } = await queue.claim(0, LIMIT);
      assert.deepEqual(due.map(({ orderId }) => orderId).sort(), ['order-1', 'order-2']);
      await queue.remove([id('order-1')]);
      await queue.remove([]);
      assert.equal((await queue.size()).waiting, 1);
    });

    scenario(
      'a claim returns up to its limit, earliest first, and reports whether it is full',
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

    scenario('a full claim returns the next due time, even one in the past', async ({ queue, at }) => {
      await queue.schedule(manyOrders(3, at - 10));
      assert.equal((await queue.claim(0, 2)).nextDueAt, at - 8);
    });

    scenario(
      'a lost queue claims no orders until its state is set to running',
      async ({ queue, at, lose }) => {
        await lose();
        await queue.schedule([{ orderId: id('one'), dueAt: at }]);
        const lost = await queue.claim(0, LIMIT);
        assert.deepEqual([lost.state, lost.due, lost.redelivered], ['lost', [], []]);
        assert.ok(lost.now >= at, 'a claim on a lost queue still returns the time');
        await queue.setState('running');
        const { state, due } = await queue.claim(0, LIMIT);
        assert.deepEqual([state, due.length], ['running', 1]);
      },
    );

    scenario('a paused queue claims no orders, and keeps them until it is resumed', async ({ queue, at }) => {
      await queue.schedule([{ orderId: id('one'), dueAt: at }]);
      await queue.setState('paused');
      const paused = await queue.claim(0, LIMIT);
      assert.deepEqual([paused.state, paused.due], ['paused', []]);
      assert.deepEqual(await queue.size(), { waiting: 1, due: 1 });
      await queue.setState('running');
      assert.equal((await queue.claim(0, LIMIT)).due.length, 1);
    });

    scenario(
      'a queue accepts an order that is due at time zero, and an order id of 64 characters',
      async ({ queue }) => {
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
      },
    );

    scenario(
      'one call schedules twenty thousand orders, and each claim returns a thousand',
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
  });
}

export function manyOrders(count: number, from: number): Waiting[] {
  return Array.from({ length: count }, (_, index) => ({
    orderId: id(`order-${index}`),
    dueAt: from + index,
  }));
}

export function claimAll(queue: DueQueue): Promise<Claim[]> {
  return Promise.all(Array.from({ length: queue.shards }, (_, shard) => queue.claim(shard, LIMIT)));
}

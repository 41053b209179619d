/** A due queue whose Redis goes back to an earlier state: a process notices it if, and only if, one of its writes is gone. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import type { OrderId } from '../../internal/domain/order.ts';
import { redisDueQueue } from '../../internal/repository/redis/due-queue.ts';
import { redisServers } from '../support/servers.ts';

const LIMIT = 100;
const FAR = Date.now() + 3_600_000;

for (const { name, url } of redisServers())
  describe(`losses of a due queue on ${name}`, () => {
    let redis: Redis;
    let prefix: string;
    const key = (part: string) => `${prefix}:{s00}:${part}`;

    before(() => {
      redis = new Redis(url);
    });
    after(() => redis.disconnect());
    beforeEach(() => {
      prefix = `test-${randomUUID()}`.slice(0, 32);
    });

    /** The queue as one process sees it. */
    const queueOf = () => redisDueQueue(redis, { prefix, shards: 1, leaseMs: 5_000 });
    const order = (id: string) => ({ orderId: id as OrderId, dueAt: FAR });

    /** Copies the shard; the returned function puts the copy back, as a restart from a snapshot does. */
    async function snapshot(): Promise<() => Promise<void>> {
      const [due, state] = await Promise.all([redis.dumpBuffer(key('due')), redis.get(key('state'))]);
      return async () => {
        await redis.del(key('due'), key('state'));
        if (due) await redis.restore(key('due'), 0, due);
        if (state) await redis.set(key('state'), state);
      };
    }

    it('a write is found lost although a command from before it is sent once more to the server that lost it', async () => {
      const connection: Redis = Object.create(redis);
      const queue = redisDueQueue(connection, { prefix, shards: 1, leaseMs: 5_000 });
      await queue.setState('running');
      const promote = await snapshot();
      // As ioredis does with a command that was under way when its server died.
      const { claimDue } = connection;
      let send = () => {};
      const promoted = new Promise<void>((resolve) => {
        send = resolve;
      });
      connection.claimDue = async (...args) => promoted.then(() => claimDue.apply(connection, args));
      const underWay = queue.claim(0, LIMIT);
      connection.claimDue = claimDue;
      await queue.schedule([order('a')]);
      await promote();
      send();
      assert.equal((await underWay).state, 'running');
      assert.equal((await queue.claim(0, LIMIT)).state, 'lost');
    });

    it('a process finds the queue lost if and only if a write of its own is gone', async () => {
      const step = fc.constantFrom(
        { by: 0, what: 'schedule' },
        { by: 0, what: 'claim' },
        { by: 1, what: 'schedule' },
        { by: 1, what: 'claim' },
        { by: 1, what: 'rebuild' },
        { by: 0, what: 'snapshot' },
        { by: 0, what: 'restore' },
      );
      let found = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
          await redis.del(key('due'), key('state'));
          const queues = [queueOf(), queueOf()] as const;
          await queues[0].setState('running');
          let restore = await snapshot();
          /** The processes that have written since the snapshot, and those whose writes are gone. */
          let wrote = new Set<number>();
          let robbed = new Set<number>();
          let isLost = false;
          for (const { by, what } of steps) {
            const queue = queues[by] as (typeof queues)[number];
            if (what === 'snapshot') {
              if (isLost || robbed.size > 0) continue;
              restore = await snapshot();
              wrote = new Set();
            } else if (what === 'restore') {
              await restore();
              robbed = new Set([...robbed, ...wrote]);
              wrote = new Set();
              isLost = false;
            } else {
              isLost ||= robbed.delete(by);
              wrote.add(by);
              if (what === 'schedule') await queue.schedule([order(randomUUID())]);
              if (what === 'claim') {
                assert.equal((await queue.claim(0, LIMIT)).state, isLost ? 'lost' : 'running');
                if (isLost) found += 1;
              }
              if (what === 'rebuild') {
                await queue.setState('running');
                // What was lost before a rebuild is in the queue again, and gone again after the next restore.
                isLost = false;
                wrote = new Set([...wrote, ...robbed]);
                robbed = new Set();
              }
            }
          }
        }),
        { numRuns: 150 },
      );
      assert.ok(found > 0, 'no sequence came upon a loss');
    });

    it('a rebuild by one process is no loss to another', async () => {
      const [worker, writer] = [queueOf(), queueOf()];
      await worker.setState('running');
      for (let n = 0; n < 3; n++) await writer.schedule([order(`o${n}`)]);
      await worker.setState('running');
      await writer.schedule([order('o3')]);
      assert.equal((await worker.claim(0, LIMIT)).state, 'running');
    });

    it('a queue from before the last rebuild is lost to a process that has written nothing since', async () => {
      const [worker, writer] = [queueOf(), queueOf()];
      await worker.setState('running');
      await writer.schedule([order('a')]);
      const restore = await snapshot();
      await worker.setState('running');
      await writer.schedule([order('b')]);
      await restore();
      await writer.schedule([order('c')]);
      assert.equal((await worker.claim(0, LIMIT)).state, 'lost');
    });

    it('marks are neither claimed nor counted, and a rebuild removes those of earlier processes', async () => {
      for (let n = 0; n < 5; n++) await queueOf().schedule([order('a')]);
      const worker = queueOf();
      await worker.setState('running');
      assert.deepEqual(await worker.size(), { waiting: 1, due: 0 });
      assert.equal(await redis.zcard(key('due')), 2);
      await worker.remove(['a' as OrderId]);
      const { due, timers, nextDueAt } = await worker.claim(0, LIMIT);
      assert.deepEqual([due, timers, nextDueAt], [[], [], undefined]);
    });

    it('members are not written when their count is refused', async () => {
      await queueOf().setState('running');
      const user = `user-${randomUUID()}`;
      await redis.acl('SETUSER', user, 'on', '>secret', '~*', '&*', '+@all', '-eval', '-evalsha');
      const refused = new Redis(url, { username: user, password: 'secret' });
      try {
        const queue = redisDueQueue(refused, { prefix, shards: 1, leaseMs: 5_000 });
        for (const onlyMissing of [false, true])
          await assert.rejects(queue.schedule([order('a')], { onlyMissing }), { code: 'UNAVAILABLE' });
        assert.deepEqual(await queueOf().size(), { waiting: 0, due: 0 });
      } finally {
        refused.disconnect();
        await redis.acl('DELUSER', user);
      }
    });

    it('members are written by a server that has forgotten its scripts', async () => {
      const queue = queueOf();
      await queue.setState('running');
      for (const id of ['a', 'b']) {
        await queue.schedule([order(id)]);
        await redis.script('FLUSH');
      }
      assert.equal(await queue.schedule([order('c')], { onlyMissing: true, orEarlier: true }), 1);
      assert.deepEqual(await queue.size(), { waiting: 3, due: 0 });
    });
  });

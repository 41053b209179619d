/** What every event log does: its order, its horizon, its cursors, and who reads for a consumer. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import type { Event } from '../../internal/domain/events.ts';
import { BEGINNING, type LogPosition } from '../../internal/service/ports.ts';
import type { Delivery } from '../../internal/service/stream/ports.ts';
import { placedOrder, processingEvent, readyEvent } from '../support/builders.ts';
import { until } from '../support/until.ts';
import { opened } from './transactions.ts';
import { id, type Stores, seed, type World } from './worlds.ts';

const FILTER = { topics: new Set<string>(), types: new Set(['order.processing']) };
const idsOf = (deliveries: readonly Delivery[]) => deliveries.map(({ record }) => (record as Event).eventId);

export function eventLogContract(name: string, world: World): void {
  describe(`the event log ${name}`, { timeout: 120_000 }, () => {
    const holds = (sentence: string, check: (stores: Stores) => Promise<void>) =>
      it(sentence, () => world(check));
    const event = (orderId = 'a') => processingEvent(orderId, randomUUID());
    const read = ({ logs }: Stores, from: LogPosition = BEGINNING, limit = 100) =>
      logs[0].read(from, FILTER, limit);
    /** Follows the log from its beginning until so many events were read. */
    const readAll = async (stores: Stores, count: number) => {
      const ids: string[] = [];
      let at: LogPosition = BEGINNING;
      await until(`${count} events`, async () => {
        const { deliveries, to } = await read(stores, at);
        ids.push(...idsOf(deliveries));
        at = to;
        return ids.length >= count;
      });
      return ids;
    };

    holds(
      'events are read in the order in which they were appended, page by page, each once',
      async (stores) => {
        const [log] = stores.logs;
        const events = Array.from({ length: 5 }, (_, n) => event(`o${n % 2}`));
        await log.append(events.slice(0, 2));
        await log.append(events.slice(2));
        await readAll(stores, 5);
        const seen: string[] = [];
        let at: LogPosition = BEGINNING;
        for (const expected of [2, 2, 1]) {
          const page = await read(stores, at, 2);
          assert.deepEqual([page.deliveries.length, page.full], [expected, expected === 2]);
          seen.push(...idsOf(page.deliveries));
          at = page.to;
        }
        assert.deepEqual(
          seen,
          events.map(({ eventId }) => eventId),
        );
        const { deliveries } = await read(stores);
        assert.equal(new Set(deliveries.map(({ position }) => position)).size, 5, 'positions differ');
        assert.deepEqual((await read(stores, at)).deliveries, []);
      },
    );

    holds('events of other types are passed over, and the position moves past them', async (stores) => {
      const [log] = stores.logs;
      const wanted = event();
      await log.append([wanted, readyEvent('a', 1, randomUUID())]);
      await readAll(stores, 1);
      const { to, deliveries } = await read(stores);
      assert.deepEqual(idsOf(deliveries), [wanted.eventId]);
      const later = event();
      await log.append([later]);
      const next = await until('the next event', async () => {
        const page = await read(stores, to);
        return page.deliveries.length > 0 && page;
      });
      assert.deepEqual(idsOf(next.deliveries), [later.eventId]);
    });

    holds('an event that is appended twice is there twice', async (stores) => {
      const once = event();
      await stores.logs[0].append([once]);
      await stores.logs[1].append([once]);
      assert.deepEqual(await readAll(stores, 2), [once.eventId, once.eventId]);
    });

    holds('an open transaction that has appended holds back what others append after it', async (stores) => {
      const [first, second] = [event(), event('b')];
      const open = await opened(stores, (tx) => tx.appendEvents([first]));
      await stores.logs[0].append([second]);
      const page = await read(stores);
      assert.deepEqual([page.deliveries, page.held], [[], true]);
      await open.commit();
      assert.deepEqual(await readAll(stores, 2), [first.eventId, second.eventId]);
    });

    holds(
      'an open transaction that has only locked a row holds others back, and its events come before theirs',
      async (stores) => {
        await seed(stores, placedOrder({ content: { id: 'a' } }));
        const [first, second] = [event(), event('b')];
        let append: () => Promise<void> = async () => {};
        const open = await opened(stores, async (tx) => {
          await tx.lockOrders([id('a')]);
          append = () => tx.appendEvents([first]);
        });
        await stores.logs[0].append([second]);
        const page = await read(stores);
        assert.deepEqual([page.deliveries, page.held], [[], true]);
        await append();
        await open.commit();
        assert.deepEqual(await readAll(stores, 2), [first.eventId, second.eventId]);
      },
    );

    holds(
      'what a reader has passed never changes: an open transaction that began to write later comes after it',
      async (stores) => {
        const [first, second] = [event('b'), event()];
        let append: () => Promise<void> = async () => {};
        const open = await opened(stores, async (tx) => {
          // It has only read, so it has no place in the log yet.
          await tx.idempotency.find({ principal: 'p', operation: 'o', key: 'k', fingerprint: 'f' });
          append = () => tx.appendEvents([second]);
        });
        await stores.logs[0].append([first]);
        await readAll(stores, 1);
        await append();
        await open.commit();
        assert.deepEqual(await readAll(stores, 2), [first.eventId, second.eventId]);
      },
    );

    holds('what is held back is free after a rollback', async (stores) => {
      const kept = event('b');
      const open = await opened(stores, (tx) => tx.appendEvents([event()]));
      await stores.logs[0].append([kept]);
      await open.rollBack();
      assert.deepEqual(await readAll(stores, 1), [kept.eventId]);
    });

    holds(
      'concurrent transactions that end in any order are read by a follower without a gap',
      async (stores) => {
        await seed(stores, placedOrder({ content: { id: 'a' } }), placedOrder({ content: { id: 'b' } }));
        const committed: string[] = [];
        const writing = Promise.all(
          Array.from({ length: 24 }, async (_, n) => {
            const own = event(n % 2 ? 'a' : 'b');
            await stores.transactions
              .run(async (tx) => {
                if (n % 3) await tx.lockOrders([id(own.orderId)]);
                await tx.appendEvents([own]);
                if (n % 4 === 0) await tx.claimEvents('c', [own.eventId]);
                if (n % 5 === 0) throw new Error('on purpose');
                committed.push(own.eventId);
              })
              .catch((error: Error) => assert.match(error.message, /on purpose/));
          }),
        ).then(() => 'written');
        const seen: string[] = [];
        let at: LogPosition = BEGINNING;
        let isWritten = false;
        void writing.then(() => {
          isWritten = true;
        });
        await until('all to be read', async () => {
          const page = await read(stores, at, 5);
          at = page.to;
          seen.push(...idsOf(page.deliveries));
          return isWritten && seen.length >= committed.length;
        });
        assert.deepEqual([...seen].sort(), [...committed].sort());
      },
    );

    holds('a position of another server is refused', async (stores) => {
      await stores.logs[0].append([event()]);
      await readAll(stores, 1);
      await assert.rejects(read(stores, { ...BEGINNING, server: 'another' }), { code: 'UNAVAILABLE' });
    });

    holds('one process leads for each consumer, and another one after it has resigned', async ({ logs }) => {
      const [here, there] = logs;
      assert.equal(await here.lead('c'), true);
      assert.equal(await here.lead('c'), true);
      assert.equal(await there.lead('c'), false);
      assert.equal(await there.lead('d'), true);
      await here.resign('c');
      await until('the other process to lead', () => there.lead('c'));
      assert.equal(await here.lead('c'), false);
    });
  });
}

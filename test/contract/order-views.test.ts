/** What every store of views does: on each Redis, and in memory. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Order, OrderId } from '../../internal/domain/order.ts';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { redisOrderViews } from '../../internal/repository/redis/order-views.ts';
import type { OrderView, OrderViews, Revision } from '../../internal/service/views/ports.ts';
import { isNewer } from '../../internal/service/views/project-views.ts';
import { movedTo, nextId, orderAt, placedOrder } from '../support/builders.ts';
import { memoryViews } from '../support/in-memory-views.ts';
import { manualClock, NOON } from '../support/manual-clock.ts';
import { recordingLog } from '../support/recording-log.ts';
import { until } from '../support/until.ts';
import { viewOptions } from '../support/view-options.ts';
import { viewServers } from '../support/view-servers.ts';

const viewOf = (order: Order, changes: Partial<OrderView> = {}): OrderView => ({
  order,
  revision: [order.version, 0],
  ...changes,
});
const newOrder = () => placedOrder({ content: { id: nextId('order'), customerId: 'asha' } });

export function orderViewsContract(
  name: string,
  open: () => Promise<{ views: OrderViews; close(): Promise<void> }>,
): void {
  describe(`views ${name}`, { timeout: 120_000 }, () => {
    let views: OrderViews;
    let close: () => Promise<void>;
    before(async () => {
      ({ views, close } = await open());
    });
    after(() => close());
    /** On a busy machine a read may take longer than its limit, and then finds nothing. */
    const stored = (id: OrderId) => until(`the view of ${id}`, () => views.get(id));

    it('a stored view is read back unchanged, and one that was not stored is missing', async () => {
      const eta = { median: NOON + 900_000, p90: NOON + 1_200_000, computedAt: NOON };
      const view = viewOf(orderAt('RIDER_ASSIGNED'), {
        delivery: { state: 'ASSIGNED', riderId: 'ravi', eta },
        payment: 'AUTHORIZED',
        reservation: 'reserved',
        revision: [9, NOON],
      });
      await views.put([view]);
      assert.deepEqual(await stored(view.order.id), view);
      assert.equal(await views.get(newOrder().id), undefined);
      await views.put([]);
    });

    it('a newer view is never replaced by an older one, in any sequence and grouping of writes', async () => {
      const revision = fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 }));
      const puts = fc.array(fc.array(revision, { minLength: 1, maxLength: 5 }), {
        minLength: 1,
        maxLength: 6,
      });
      await fc.assert(
        fc.asyncProperty(puts, async (batches) => {
          const order = newOrder();
          const made = (revision: Revision) =>
            viewOf({ ...order, updatedAt: NOON + revision[0] }, { revision });
          await Promise.all(batches.map((batch) => views.put(batch.map(made))));
          const newest = batches.flat().reduce((best, one) => (isNewer(one, best) ? one : best));
          assert.deepEqual(await stored(order.id), made(newest));
        }),
        { numRuns: 60 },
      );
    });

    it('those of which none was stored are named, each time', async () => {
      const [first, second, third] = [newOrder(), newOrder(), newOrder()];
      assert.deepEqual(await views.put([first, second].map((order) => viewOf(order))), [first.id, second.id]);
      const later = [movedTo(first, 'PROCESSING'), second, third];
      assert.deepEqual(await views.put(later.map((order) => viewOf(order))), [third.id]);
      assert.deepEqual(await views.put([]), []);
    });

    it('an ETA from a clock that was ahead does not block a later change of the order', async () => {
      const order = { ...orderAt('OUT_FOR_DELIVERY'), id: newOrder().id };
      await views.put([viewOf(order, { revision: [7, NOON + 3_600_000] })]);
      await views.put([viewOf(movedTo(order, 'DELIVERED'), { revision: [8, NOON] })]);
      assert.equal((await stored(order.id)).order.status, 'DELIVERED');
    });
  });
}

for (const [name, start] of viewServers())
  orderViewsContract(`on ${name}`, async () => {
    const server = await start();
    const redis = openRedis(server.url, recordingLog());
    await until('the connection', () => redis.status === 'ready');
    return {
      views: redisOrderViews(redis, manualClock(), recordingLog(), viewOptions()),
      async close() {
        redis.disconnect();
        await server.drop();
      },
    };
  });

orderViewsContract('in memory', async () => ({ views: memoryViews().views, close: async () => {} }));

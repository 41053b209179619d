/** The contract of every due queue that is spread over several shards. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { claimAll, manyOrders, type QueueHarness, scenariosOn } from './due-queue.ts';

export function dueQueueShardsContract(name: string, harness: QueueHarness): void {
  describe(`${name} fulfils the contract of a due queue with several shards`, () => {
    const scenario = scenariosOn(harness);

    scenario(
      'orders are spread over all shards, and each order stays on one shard',
      async ({ queue, at }) => {
        const orders = manyOrders(400, at - 1_000);
        assert.equal(await queue.schedule(orders), 400);
        assert.equal(await queue.schedule(orders), 0, 'no order is added a second time');
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
      'pausing and removing apply to every shard',
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
  });
}

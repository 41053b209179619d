/** Tests of the comparison of views with their orders, after a server of views was started or promoted. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { OrderId } from '../../../internal/domain/order.ts';
import { viewComparer } from '../../../internal/service/views/compare-views.ts';
import type { OrderView } from '../../../internal/service/views/ports.ts';
import { placedOrder } from '../../support/builders.ts';
import { type MemoryViews, memoryViews } from '../../support/in-memory-views.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { recordingLog } from '../../support/recording-log.ts';

const ORDERS = 45;
const ids = Array.from({ length: ORDERS }, (_, n) => `order-${String(n).padStart(2, '0')}` as OrderId);
const viewOf = (id: OrderId, changes: number): OrderView => ({
  order: placedOrder({ content: { id } }),
  revision: [changes, 0],
});

describe('the comparison of views with their orders', () => {
  let memory: MemoryViews;
  let rows: Map<OrderId, OrderView>;
  let log: ReturnType<typeof recordingLog>;

  beforeEach(async () => {
    memory = memoryViews();
    rows = new Map();
    log = recordingLog();
    for (const id of ids) await change(id, 1);
  });
  async function change(id: OrderId, changes: number): Promise<void> {
    rows.set(id, viewOf(id, changes));
    await memory.views.put([viewOf(id, changes)]);
  }
  const comparer = () =>
    viewComparer({
      ...memory,
      clock: manualClock(),
      log,
      viewSource: { read: async (some) => some.flatMap((id) => rows.get(id) ?? []) },
    });
  async function untilDone(round: () => Promise<number>): Promise<void> {
    while ((await round()) === 0);
  }
  const changesOf = (id: OrderId) => memory.stored.get(id)?.revision[0];
  const lastCounts = () => log.lines.findLast(({ message }) => message.startsWith('the views'))?.fields;

  it('after a restart from an older state, the views that are old are replaced, and only those', async () => {
    const round = comparer();
    await untilDone(round);
    const restart = memory.snapshot();
    const changed = ids.filter((_, n) => n % 3 === 0);
    for (const id of changed) await change(id, 5);
    await untilDone(round);
    restart();
    assert.equal(changesOf(changed[0] as OrderId), 1);
    await untilDone(round);
    for (const id of ids) assert.equal(changesOf(id), changed.includes(id) ? 5 : 1);
    assert.deepEqual(lastCounts(), { compared: ORDERS, replaced: changed.length, removed: 0 });
  });

  it('while the server stays the same nothing is compared again, nor by the next process', async () => {
    const round = comparer();
    await untilDone(round);
    const pages = memory.pages();
    assert.ok(pages > 1, 'there are several pages');
    await untilDone(round);
    await untilDone(comparer());
    assert.equal(memory.pages(), pages);
  });

  it('a process that starts after the loss compares the views, and so does each that was there before it', async () => {
    const before = comparer();
    await untilDone(before);
    const restart = memory.snapshot();
    await change('order-07' as OrderId, 9);
    restart();
    await untilDone(comparer());
    assert.equal(changesOf('order-07' as OrderId), 9);
    const pages = memory.pages();
    await untilDone(before);
    assert.ok(memory.pages() > pages);
  });

  it('a comparison that fails goes on at the same page, and one whose server restarts begins anew', async () => {
    const round = comparer();
    await round();
    await round();
    memory.failOnce();
    await assert.rejects(round, { code: 'UNAVAILABLE' });
    await untilDone(round);
    assert.deepEqual(lastCounts(), { compared: ORDERS, replaced: 0, removed: 0 });
    assert.equal(memory.pages(), 5);
    const restart = memory.snapshot();
    restart();
    await round();
    restart();
    await untilDone(round);
    assert.deepEqual(lastCounts(), { compared: ORDERS, replaced: 0, removed: 0 });
    assert.equal(memory.pages(), 11);
  });

  it('a view whose order is missing is removed, and one that is ahead of its order becomes that of the order', async () => {
    rows.delete('order-03' as OrderId);
    await memory.views.put([viewOf('order-04' as OrderId, 8)]);
    await untilDone(comparer());
    assert.equal(memory.stored.has('order-03' as OrderId), false);
    assert.equal(changesOf('order-04' as OrderId), 1);
    assert.deepEqual(lastCounts(), { compared: ORDERS, replaced: 1, removed: 1 });
  });

  it('a view that is stored while its order is found missing stays', async () => {
    rows.delete('order-03' as OrderId);
    const { remove } = memory.storedViews;
    const storedViews = {
      ...memory.storedViews,
      async remove(version: Parameters<typeof remove>[0]) {
        await change('order-03' as OrderId, 2);
        return remove(version);
      },
    };
    memory = { ...memory, storedViews };
    await untilDone(comparer());
    assert.equal(changesOf('order-03' as OrderId), 2);
  });
});

/** What every store of the history of orders does. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { fact } from '../../internal/domain/announce.ts';
import type { Event } from '../../internal/domain/events.ts';
import type { OrderId } from '../../internal/domain/order.ts';
import type { History, HistoryEntry } from '../../internal/service/views/ports.ts';

/** Cassandra counts the time to live of entries by its own clock. */
export const NOW = Date.now();
const LIMIT = 100;

/** An event of the order, at this time (epoch ms). */
export function happened(
  orderId: string,
  at: number,
  fields: { eventId?: string; reason?: string } = {},
): Event {
  const { eventId = randomUUID(), reason = 'a\nb "c" \\ é 🍜' } = fields;
  return fact('payment.failed', orderId, { reason }, { eventId, at, producer: 'test' }) as Event;
}

export interface OpenStore {
  readonly history: History;
  close(): Promise<void>;
}

export function historyContract(
  name: string,
  open: () => Promise<OpenStore>,
  skip: string | false = false,
): void {
  describe(`the history of orders in ${name}`, { skip, timeout: 180_000 }, () => {
    let store: OpenStore;
    let history: History;

    before(async () => {
      store = await open();
      history = store.history;
    });
    after(() => store.close());

    const newOrder = () => randomUUID() as OrderId;
    const of = (id: OrderId, limit = LIMIT) => history.of(id, limit);
    const ids = (entries: readonly HistoryEntry[]) => entries.map(({ eventId }) => eventId);
    const reasons = async (id: OrderId) =>
      (await of(id)).map(({ payload }) => (payload as { reason: string }).reason);

    it('every event of an order is there unchanged, oldest first, in whatever order they were appended', async () => {
      const id = newOrder();
      const events = [3, 1, 2].map((n) => happened(id, NOW + n)) as [Event, Event, Event];
      await history.append([...events, happened(newOrder(), NOW)]);
      const [third, first, second] = events;
      assert.deepEqual(ids(await of(id)), ids([first, second, third] as unknown as HistoryEntry[]));
      assert.deepEqual((await of(id))[0], {
        eventId: first.eventId,
        eventType: 'payment.failed',
        at: NOW + 1,
        producer: 'test',
        payload: { reason: 'a\nb "c" \\ é 🍜' },
      });
      assert.deepEqual(await of(newOrder()), []);
    });

    it('only the newest events are returned if there are more than the limit', async () => {
      const id = newOrder();
      const events = [1, 2, 3].map((n) => happened(id, NOW + n));
      await history.append(events);
      assert.deepEqual(
        ids(await of(id, 2)),
        events.slice(1).map(({ eventId }) => eventId),
      );
    });

    it('an event that is appended several times is there once: in one batch, in several, and at once', async () => {
      const id = newOrder();
      const event = happened(id, NOW);
      await history.append([event, event, event]);
      await Promise.all([1, 2, 3].map(() => history.append([event])));
      assert.deepEqual(ids(await of(id)), [event.eventId]);
    });

    it('a batch of a thousand events of many orders is stored whole', async () => {
      const orders = Array.from({ length: 50 }, newOrder);
      await history.append(
        orders.flatMap((id) => Array.from({ length: 20 }, (_, n) => happened(id, NOW + n))),
      );
      for (const id of orders) assert.equal((await of(id)).length, 20);
    });

    it('nothing is appended by an empty batch', () => history.append([]));

    it('an event id that is not a UUID and an empty producer name are accepted', async () => {
      const id = newOrder();
      const event = { ...happened(id, NOW, { eventId: 'no uuid' }), producer: '' };
      await history.append([event]);
      await history.append([event]);
      assert.deepEqual(
        (await of(id)).map(({ producer }) => producer),
        [''],
      );
    });

    it('a payload is rewritten, and the event that is appended again does not bring the old one back', async () => {
      const [id, other] = [newOrder(), newOrder()];
      const events = [1, 2].map((n) => happened(id, NOW - n, { reason: n === 1 ? 'Asha' : 'NO_FUNDS' }));
      const future = happened(id, Date.now() + 60_000, { reason: 'Asha' });
      await history.append([...events, future, happened(other, NOW, { reason: 'Asha' })]);
      const erase = ({ payload }: HistoryEntry) =>
        (payload as { reason: string }).reason === 'Asha' ? { reason: 'erased' } : payload;
      assert.equal(await history.rewrite([id, newOrder()], erase), 2);
      assert.equal(await history.rewrite([id], erase), 0, 'a repetition changes nothing');
      await history.append([...events, future]);
      assert.deepEqual(await reasons(id), ['NO_FUNDS', 'erased', 'erased']);
      assert.deepEqual(await reasons(other), ['Asha']);
    });
  });
}

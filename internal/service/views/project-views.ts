/** Projects orders to their views and their history, and reads views with Postgres as fallback. */
import { withoutPerson } from '../../domain/erasure.ts';
import type { Event, EventType } from '../../domain/events.ts';
import type { OrderId } from '../../domain/order.ts';
import { TOPICS } from '../../domain/topics.ts';
import type { Log } from '../ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { ErasedAmong, History, OrderView, OrderViews, Revision, ViewSource } from './ports.ts';

export interface StoreDeps {
  readonly viewSource: ViewSource;
  readonly views: OrderViews;
}

export interface ViewDeps extends StoreDeps {
  readonly log: Log;
}

const RAW = ['raw.order-events', 'raw.inventory-events', 'raw.payment-events', 'raw.delivery-events'];

function typesOn(topics: readonly string[]): EventType[] {
  return (Object.keys(TOPICS) as EventType[]).filter((type) =>
    TOPICS[type].some((topic) => topics.includes(topic)),
  );
}

/** How often views of which none is stored are read anew; in a Redis that keeps nothing, this would have no end. */
const READS = 3;

/**
 * Stores views that were read just now. Where none was stored, a newer one may have been stored and lost (evicted, expired,
 * flushed) between the reading and the writing, so the order is read again.
 */
export async function storeViews(
  { viewSource, views }: StoreDeps,
  read: readonly OrderView[],
): Promise<void> {
  let added = await views.put(read);
  for (let reads = 1; added.length > 0 && reads < READS; reads += 1)
    added = await views.put(await viewSource.read(added));
}

/** Stores the current views of the events' orders. The events' contents are not used, so they may come late, twice and in any order. */
export function viewsConsumer(deps: StoreDeps): Consumer<EventType, void> {
  return {
    name: 'query-service.views',
    topics: RAW,
    types: typesOn(RAW),
    isIdempotent: true,
    async perform(events) {
      const ids = [...new Set(events.map(({ orderId }) => orderId as OrderId))];
      await storeViews(deps, await deps.viewSource.read(ids));
    },
  };
}

/** The cached view, else a new one from Postgres; undefined if there is no such order. */
export async function viewOrder(deps: ViewDeps, id: OrderId): Promise<OrderView | undefined> {
  const { views, viewSource, log } = deps;
  const cached = await views.get(id);
  if (cached) return cached;
  const [view] = await viewSource.read([id]);
  // The reader does not wait until the view is stored.
  if (view)
    void storeViews(deps, [view]).catch((error: Error) =>
      log.debug({ error: error.message }, 'a view could not be stored'),
    );
  return view;
}

export function isNewer([changes, etaAt]: Revision, than: Revision): boolean {
  return changes > than[0] || (changes === than[0] && etaAt > than[1]);
}

const HISTORY_TOPICS = [...RAW, 'rider_request', 'notification_sent'];

export interface HistoryDeps {
  readonly history: History;
  readonly erasedAmong: ErasedAmong;
}

export function historyConsumer({ history, erasedAmong }: HistoryDeps): Consumer<EventType, void> {
  return {
    name: 'query-service.history',
    topics: HISTORY_TOPICS,
    types: typesOn(HISTORY_TOPICS),
    isIdempotent: true,
    async perform(events) {
      const erased = await erasedAmong(events.map(({ orderId }) => orderId));
      const stored = events.map((event) =>
        erased.has(event.orderId) ? { ...event, payload: withoutPerson(event.payload) } : event,
      );
      await history.append(stored as readonly Event[]);
    },
  };
}

/** Keeps the views of orders, always from what is true now, and reads them with the truth behind. */
import type { Event, EventType } from '../../domain/events.ts';
import type { OrderId } from '../../domain/order.ts';
import { TOPICS } from '../../domain/topics.ts';
import type { Log } from '../ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { History, OrderView, OrderViews, Revision, ViewSource } from './ports.ts';

export interface ViewDeps {
  readonly viewSource: ViewSource;
  readonly views: OrderViews;
  readonly log: Log;
}

const RAW = ['raw.order-events', 'raw.inventory-events', 'raw.payment-events', 'raw.delivery-events'];

function typesOn(topics: readonly string[]): EventType[] {
  return (Object.keys(TOPICS) as EventType[]).filter((type) =>
    TOPICS[type].some((topic) => topics.includes(topic)),
  );
}

/** The one projector. Events only say which orders to look at, so they may come late, twice, and in any order. */
export function viewsConsumer({ viewSource, views }: ViewDeps): Consumer<EventType, void> {
  return {
    name: 'query-service.views',
    topics: RAW,
    types: typesOn(RAW),
    isIdempotent: true,
    async perform(events) {
      const ids = [...new Set(events.map(({ orderId }) => orderId as OrderId))];
      await views.put(await viewSource.read(ids));
    },
  };
}

/** The view, or where that has gone a new one; undefined where there is no such order. */
export async function viewOrder(
  { views, viewSource, log }: ViewDeps,
  id: OrderId,
): Promise<OrderView | undefined> {
  const cached = await views.get(id);
  if (cached) return cached;
  const [view] = await viewSource.read([id]);
  if (view)
    await views
      .put([view])
      .catch((error: Error) => log.debug({ error: error.message }, 'a view was not kept'));
  return view;
}

export function isNewer([changes, etaAt]: Revision, than: Revision): boolean {
  return changes > than[0] || (changes === than[0] && etaAt > than[1]);
}

const KEPT = [...RAW, 'rider_request', 'notification_sent'];

export function historyConsumer({ history }: { readonly history: History }): Consumer<EventType, void> {
  return {
    name: 'query-service.history',
    topics: KEPT,
    types: typesOn(KEPT),
    isIdempotent: true,
    async apply(tx, events) {
      await history.append(tx, events as readonly Event[]);
      return [];
    },
  };
}

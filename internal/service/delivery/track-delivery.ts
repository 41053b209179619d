/** Updates deliveries after riders' reports, and after orders that changed without a report. */
import { type Delivery, deliver, followOrder, hasEnded, type Place, pickUp } from '../../domain/delivery.ts';
import { TiffinError } from '../../domain/errors.ts';
import type { Event } from '../../domain/events.ts';
import { isFinal, type Order, type OrderId } from '../../domain/order.ts';
import { type DecideDeps, decideOrders, lockOrdersOf } from '../decide-orders.ts';
import type { Transaction, Transactions } from '../ports.ts';
import type { Timers } from '../scheduling/ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { Deliveries, Riders } from './ports.ts';
import { type EtaDeps, PRODUCER, withEta } from './refresh-eta.ts';
import { type Change, storeChanges } from './store-changes.ts';

export interface FollowDeps extends DecideDeps {
  readonly riders: Riders;
  readonly deliveries: Deliveries;
  readonly timers: Timers;
}

export interface TrackDeps extends FollowDeps, EtaDeps {
  readonly transactions: Transactions;
}

/** A rider's report that an order was picked up or delivered. */
export interface RiderReport {
  readonly riderId: string;
  readonly orderId: OrderId;
  readonly status: 'PICKED_UP' | 'DELIVERED';
  /** Epoch ms, by the rider's clock. */
  readonly at: number;
  readonly place?: Place | undefined;
  readonly traceparent?: string | undefined;
}

/**
 * Applies a rider's report to delivery and order; a repeated report changes nothing. Throws RIDER_NOT_FOUND,
 * RIDER_NOT_ON_ORDER, NOT_PICKED_UP, or TOO_LATE if the order has failed or was rejected or cancelled.
 */
export async function trackDelivery(deps: TrackDeps, report: RiderReport): Promise<void> {
  const { riderId, orderId, status, place, traceparent } = report;
  await deps.transactions.run(async (tx) => {
    const order = (await tx.lockOrders([orderId])).get(orderId);
    const delivery = (await deps.deliveries.lock(tx, [orderId])).get(orderId);
    const [rider] = await deps.riders.find([riderId], tx);
    if (!order || !delivery || delivery.riderId !== riderId) {
      if (!rider) throw new TiffinError('RIDER_NOT_FOUND', `there is no rider '${riderId}'`);
      throw new TiffinError('RIDER_NOT_ON_ORDER', `rider '${riderId}' does not carry order '${orderId}'`);
    }
    const now = deps.clock.now();
    const at = Math.min(report.at, now);
    if (hasDroppedOut(order) || delivery.state === 'RELEASED')
      throw new TiffinError('TOO_LATE', `order '${orderId}' is already ${order.status}`);
    if (status === 'DELIVERED' && delivery.state === 'ASSIGNED')
      throw new TiffinError('NOT_PICKED_UP', `order '${orderId}' has not been picked up`);
    if (place) await deps.riders.move(riderId, place, at, tx);
    const changed = afterReport(delivery, status, at);
    if (!changed) return;
    const to = status === 'PICKED_UP' ? 'OUT_FOR_DELIVERY' : 'DELIVERED';
    const command = { type: 'advance', to, by: 'fact' } as const;
    const orders = new Map([[orderId, order]]);
    const moved = await decideOrders(deps, tx, PRODUCER, orders, [{ id: orderId, command, traceparent }]);
    // The pickup changes the remaining way, so the ETA is refreshed at once.
    const updated =
      changed.state === 'PICKED_UP' &&
      withEta(deps, changed, rider && { ...rider, ...(place ? { place } : {}) }, traceparent, 'PICKED_UP');
    const after = updated ? updated.delivery : changed;
    const events = await storeWithRiders(deps, tx, [{ before: delivery, after, traceparent }]);
    await tx.appendEvents([...events, ...moved.events, ...(updated ? [updated.event] : [])]);
  });
}

/** Undefined for a repeated report. */
function afterReport(delivery: Delivery, status: RiderReport['status'], at: number): Delivery | undefined {
  if (hasEnded(delivery)) return undefined;
  if (status === 'DELIVERED') return deliver(delivery, Math.max(at, delivery.pickedUpAt ?? at));
  return delivery.state === 'ASSIGNED' ? pickUp(delivery, at) : undefined;
}

function hasDroppedOut({ status }: Order): boolean {
  return isFinal(status) && status !== 'DELIVERED' && status !== 'COMPLETED';
}

type Followed =
  | 'order.out_for_delivery'
  | 'order.delivered'
  | 'order.failed'
  | 'order.rejected'
  | 'order.cancelled';

/**
 * Releases the riders of orders that ended, and moves deliveries along with orders that an operator moved. Unfinished
 * deliveries are read before the orders are locked. This misses none: transactions before this event's change of the order
 * have committed, and later ones assign no rider to it.
 */
export function releaseConsumer(deps: FollowDeps): Consumer<Followed, ReadonlySet<string>> {
  return {
    name: `${PRODUCER}.release`,
    topics: ['raw.order-events'],
    types: ['order.out_for_delivery', 'order.delivered', 'order.failed', 'order.rejected', 'order.cancelled'],
    async perform(events) {
      const found = await deps.deliveries.find([...new Set(events.map(({ orderId }) => orderId as OrderId))]);
      return new Set([...found.values()].filter((delivery) => !hasEnded(delivery)).map((d) => d.orderId));
    },
    async apply(tx, all, unfinished) {
      const events = all.filter(({ orderId }) => unfinished.has(orderId));
      if (events.length === 0) return [];
      const orders = await lockOrdersOf(tx, events);
      const deliveries = await deps.deliveries.lock(tx, [...orders.keys()]);
      const traces = new Map(events.map(({ orderId, traceparent }) => [orderId, traceparent]));
      const changes = [...deliveries.values()].flatMap((before): Change[] => {
        const { orderId } = before;
        const after = followOrder(before, orders.get(orderId) as Order);
        return after ? [{ before, after, traceparent: traces.get(orderId) }] : [];
      });
      return storeWithRiders(deps, tx, changes);
    },
  };
}

/** Stores the changes; where a delivery has ended, lowers its rider's `carrying` and clears its timer. Returns the events. */
async function storeWithRiders(
  deps: FollowDeps,
  tx: Transaction,
  changes: readonly Change[],
): Promise<Event[]> {
  const events = await storeChanges(deps, tx, changes);
  const ended = changes.flatMap(({ before, after }) => (before && hasEnded(after) ? [before] : []));
  if (ended.length === 0) return events;
  await deps.riders.release(
    tx,
    ended.flatMap(({ holdsPlace, riderId }) => (holdsPlace && riderId ? [riderId] : [])),
  );
  await deps.timers.clear(
    tx,
    ended.map(({ state, orderId }) => ({ kind: state === 'REQUESTED' ? 'rider' : 'eta', orderId })),
  );
  return events;
}

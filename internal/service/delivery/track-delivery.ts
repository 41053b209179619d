/** Updates deliveries after riders' reports, and after orders that changed without a report. */
import { fact } from '../../domain/announce.ts';
import { type Delivery, deliver, followOrder, hasEnded, type Place, pickUp } from '../../domain/delivery.ts';
import { TiffinError } from '../../domain/errors.ts';
import type { Event } from '../../domain/events.ts';
import { isFinal, type Order, type OrderId } from '../../domain/order.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import { type DecideDeps, decideOrders, lockOrdersOf } from '../decide-orders.ts';
import type { Transaction, Transactions } from '../ports.ts';
import type { Timers } from '../scheduling/ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { Deliveries, Riders } from './ports.ts';
import { type EtaDeps, PRODUCER, withEta } from './refresh-eta.ts';

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
    const events = [announceDelivery(deps, changed, traceparent), ...moved.events];
    if (changed.state === 'PICKED_UP') {
      // The pickup changes the remaining way, so the ETA is refreshed at once.
      const updated = withEta(deps, changed, rider && { ...rider, ...(place ? { place } : {}) }, traceparent);
      await deps.deliveries.save(tx, [updated.delivery]);
      events.push(updated.event);
    } else {
      await endAll(deps, tx, [{ before: delivery, after: changed }]);
    }
    await tx.appendEvents(events);
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
      const changed: Delivery[] = [];
      const ended: Ended[] = [];
      for (const [id, before] of deliveries) {
        const after = followOrder(before, orders.get(id) as Order);
        if (!after) continue;
        changed.push(after);
        if (hasEnded(after)) ended.push({ before, after });
      }
      await deps.deliveries.save(
        tx,
        changed.filter((delivery) => !hasEnded(delivery)),
      );
      await endAll(deps, tx, ended);
      return changed
        .filter(({ riderId }) => riderId !== undefined)
        .map((delivery) => announceDelivery(deps, delivery, traces.get(delivery.orderId)));
    },
  };
}

interface Ended {
  readonly before: Delivery;
  readonly after: Delivery;
}

/** Stores the ended deliveries, lowers their riders' `carrying`, and clears their timers. */
async function endAll(
  { deliveries, riders, timers }: FollowDeps,
  tx: Transaction,
  ended: readonly Ended[],
): Promise<void> {
  if (ended.length === 0) return;
  await deliveries.save(
    tx,
    ended.map(({ after }) => after),
  );
  await riders.release(
    tx,
    ended.flatMap(({ before }) => (before.holdsPlace && before.riderId ? [before.riderId] : [])),
  );
  await timers.clear(
    tx,
    ended.map(({ before }) => ({
      kind: before.state === 'REQUESTED' ? 'rider' : 'eta',
      orderId: before.orderId,
    })),
  );
}

function announceDelivery(
  { clock, newEventId }: Pick<FollowDeps, 'clock' | 'newEventId'>,
  { orderId, riderId = '', state, pickedUpAt, deliveredAt }: Delivery,
  traceparent: string | undefined,
): Event {
  const now = clock.now();
  const origin = { eventId: newEventId(), at: now, producer: PRODUCER, traceparent };
  switch (state) {
    case 'PICKED_UP':
      return fact(
        'delivery.picked_up',
        orderId,
        { riderId, pickedUpAt: toRfc3339(pickedUpAt ?? now) },
        origin,
      );
    case 'DELIVERED':
      return fact(
        'delivery.delivered',
        orderId,
        { riderId, deliveredAt: toRfc3339(deliveredAt ?? now) },
        origin,
      );
    default:
      return fact('delivery.released', orderId, { riderId }, origin);
  }
}

/** Refreshes the ETA of each delivery by a timer, from its assignment until its end. */
import { fact } from '../../domain/announce.ts';
import { type Delivery, type EtaReason, isUnderWay, type Rider } from '../../domain/delivery.ts';
import { type EtaRules, etaChangeOf, etaOf } from '../../domain/eta.ts';
import type { Event, EventOf } from '../../domain/events.ts';
import type { OrderId } from '../../domain/order.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import { lockOrdersOf } from '../decide-orders.ts';
import type { Clock } from '../ports.ts';
import type { Timer } from '../scheduling/ports.ts';
import { setTimers, type TimerDeps } from '../scheduling/set-timers.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { Deliveries, Riders } from './ports.ts';

export const PRODUCER = 'delivery-service';

export interface EtaDeps {
  readonly clock: Clock;
  readonly newEventId: () => string;
  readonly rules: EtaRules;
  /** Milliseconds from one ETA of an order to the next. */
  readonly etaRefreshMs: number;
}

export interface RefreshDeps extends EtaDeps, TimerDeps {
  readonly riders: Riders;
  readonly deliveries: Deliveries;
}

/** The delivery with its current ETA, the eta.updated event, and the timer of the next refresh. `cause` is what happened now. */
export function withEta(
  { clock, newEventId, rules, etaRefreshMs }: EtaDeps,
  delivery: Delivery,
  rider: Rider | undefined,
  traceparent: string | undefined,
  cause?: EtaReason,
): { delivery: Delivery; event: EventOf<'eta.updated'>; timer: Timer } {
  const now = clock.now();
  const { orderId } = delivery;
  const eta = etaOf(delivery, rider?.place, now, rules);
  const change = etaChangeOf(delivery, eta, cause, rider?.place, now, rules);
  // Readers take the ETA that was computed last, so its time increases also within a millisecond, and on a slower clock.
  const computedAt = Math.max(now, (delivery.eta?.computedAt ?? 0) + 1);
  const payload = {
    eta: toRfc3339(eta.median),
    etaP90: toRfc3339(eta.p90),
    computedAt: toRfc3339(computedAt),
  };
  const origin = { eventId: newEventId(), at: now, producer: PRODUCER, traceparent };
  return {
    delivery: { ...delivery, eta: { ...eta, computedAt, change } },
    event: fact('eta.updated', orderId, payload, origin),
    timer: { kind: 'eta', orderId, dueAt: now + etaRefreshMs },
  };
}

export function etaConsumer(deps: RefreshDeps): Consumer<'timer.eta', void> {
  return {
    name: `${PRODUCER}.eta`,
    topics: ['timers'],
    types: ['timer.eta'],
    async apply(tx, events, _performed, afterCommit) {
      const orders = await lockOrdersOf(tx, events);
      const ids = new Map(events.map(({ orderId, traceparent }) => [orderId as OrderId, traceparent]));
      const deliveries = await deps.deliveries.lock(tx, [...ids.keys()]);
      const riderIds = [...deliveries.values()].flatMap(({ riderId }) => riderId ?? []);
      const riders = new Map((await deps.riders.find(riderIds, tx)).map((rider) => [rider.id, rider]));
      const changed: Delivery[] = [];
      const announced: Event[] = [];
      const timers: Timer[] = [];
      const finished: Pick<Timer, 'orderId' | 'kind'>[] = [];
      for (const [orderId, traceparent] of ids) {
        const delivery = deliveries.get(orderId);
        const status = orders.get(orderId)?.status;
        const isInProgress = status === 'RIDER_ASSIGNED' || status === 'OUT_FOR_DELIVERY';
        if (!delivery || !isUnderWay(delivery) || !isInProgress) {
          finished.push({ kind: 'eta', orderId });
          continue;
        }
        const updated = withEta(deps, delivery, riders.get(delivery.riderId ?? ''), traceparent);
        changed.push(updated.delivery);
        announced.push(updated.event);
        timers.push(updated.timer);
      }
      await deps.deliveries.save(tx, changed);
      await setTimers(deps, tx, timers, afterCommit);
      if (finished.length > 0) await deps.timers.clear(tx, finished);
      return announced;
    },
  };
}

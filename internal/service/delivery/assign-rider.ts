/** Assigns riders to requested deliveries, and retries for deliveries that found no free rider. */
import { assign, type Delivery, type Place, type Rider, release } from '../../domain/delivery.ts';
import type { EtaRules } from '../../domain/eta.ts';
import type { Event, EventOf } from '../../domain/events.ts';
import { chooseRiders, type MatchingRules, searchDelayMs } from '../../domain/matching.ts';
import { nextMilestones, type Order, type OrderId } from '../../domain/order.ts';
import { type DecideDeps, decideOrders, lockOrdersOf } from '../decide-orders.ts';
import type { Catalogue, Restaurant } from '../inventory/ports.ts';
import type { Transaction } from '../ports.ts';
import type { Timer } from '../scheduling/ports.ts';
import { setTimers } from '../scheduling/set-timers.ts';
import type { Consumer } from '../stream/consumer.ts';
import { PRODUCER, type RefreshDeps, withEta } from './refresh-eta.ts';
import { announceChanges, type Change, storeChanges } from './store-changes.ts';

/** Each delivery of a batch chooses among as many riders as the batch has deliveries, so the work grows with its square. */
const BATCH = 200;

export interface AssignDeps extends RefreshDeps, DecideDeps {
  readonly catalogue: Pick<Catalogue, 'look'>;
  readonly rules: EtaRules & MatchingRules;
}

/** A delivery that needs a rider. */
interface Search {
  readonly delivery: Delivery;
  /** Undefined if the delivery is not stored yet. */
  readonly before: Delivery | undefined;
  readonly traceparent: string | undefined;
}

/** A delivery that has a rider. */
export interface Assignment {
  readonly delivery: Delivery;
  readonly traceparent: string | undefined;
  /** Absent for a rider of an external system. */
  readonly rider: Rider | undefined;
}

type Restaurants = ReadonlyMap<string, Restaurant>;
type AfterCommit = (work: () => Promise<void>) => void;

export function needsRider(order: Order): boolean {
  return nextMilestones(order).includes('RIDER_ASSIGNED');
}

/** Creates a delivery for each order that needs a rider, and assigns a rider if one is free. */
export function requestConsumer(deps: AssignDeps): Consumer<'rider.requested', Restaurants> {
  return {
    name: `${PRODUCER}.request`,
    topics: ['rider_request'],
    types: ['rider.requested'],
    batchSize: BATCH,
    perform: (events) => restaurantsOf(deps, events),
    async apply(tx, events, restaurants, afterCommit) {
      const orders = await lockOrdersOf(tx, events);
      const deliveries = await deps.deliveries.lock(tx, [...orders.keys()]);
      const searches = new Map<OrderId, Search>();
      for (const event of events) {
        const id = event.orderId as OrderId;
        const order = orders.get(id);
        if (!order || !needsRider(order) || deliveries.has(id)) continue;
        const delivery = requested(event, restaurants);
        searches.set(id, { delivery, before: undefined, traceparent: event.traceparent });
      }
      return match(deps, tx, orders, [...searches.values()], afterCommit);
    },
  };
}

/** Searches again for deliveries whose search timer has run out. */
export function matchConsumer(deps: AssignDeps): Consumer<'timer.rider', void> {
  return {
    name: `${PRODUCER}.match`,
    topics: ['timers'],
    types: ['timer.rider'],
    batchSize: BATCH,
    async apply(tx, events, _performed, afterCommit) {
      const orders = await lockOrdersOf(tx, events);
      const ids = new Map(events.map(({ orderId, traceparent }) => [orderId as OrderId, traceparent]));
      const deliveries = await deps.deliveries.lock(tx, [...ids.keys()]);
      const searches: Search[] = [];
      const released: Change[] = [];
      const finished: OrderId[] = [];
      for (const [id, traceparent] of ids) {
        const delivery = deliveries.get(id);
        const order = orders.get(id);
        const isSearching = delivery?.state === 'REQUESTED';
        if (isSearching && order && needsRider(order))
          searches.push({ delivery, before: delivery, traceparent });
        else finished.push(id);
        if (isSearching && !(order && needsRider(order)))
          released.push({ before: delivery, after: release(delivery), traceparent });
      }
      const withdrawn = await storeChanges(deps, tx, released);
      await stopSearching(deps, tx, finished);
      return [...withdrawn, ...(await match(deps, tx, orders, searches, afterCommit))];
    },
  };
}

type WithPickup = EventOf<'rider.requested' | 'delivery.assigned'>;

/** The restaurants of the events' pickups; unknown ones are absent. */
export async function restaurantsOf(
  { catalogue }: Pick<AssignDeps, 'catalogue'>,
  events: readonly WithPickup[],
): Promise<Restaurants> {
  const ids = new Set(events.flatMap(({ payload }) => payload.pickupLocation?.restaurantId ?? []));
  return ids.size === 0 ? new Map() : (await catalogue.look({ restaurants: [...ids] })).restaurants;
}

/** The pickup fields of a delivery, from an event and the location of its restaurant. */
export function pickupOf({ payload }: WithPickup, restaurants: Restaurants): Partial<Delivery> {
  const { restaurantId, address } = payload.pickupLocation ?? {};
  const location = restaurants.get(restaurantId ?? '')?.location;
  const pickup: Place | undefined = location && [location.latitude, location.longitude];
  return {
    ...(restaurantId === undefined ? {} : { restaurantId }),
    ...(address === undefined ? {} : { pickupAddress: address }),
    ...(pickup ? { pickup } : {}),
  };
}

function requested(event: EventOf<'rider.requested'>, restaurants: Restaurants): Delivery {
  const { readyAt } = event.payload;
  return {
    orderId: event.orderId as OrderId,
    state: 'REQUESTED',
    ...pickupOf(event, restaurants),
    attempts: 0,
    requestedAt: Date.parse(event.occurredAt),
    ...(readyAt === undefined ? {} : { readyAt: Date.parse(readyAt) }),
  };
}

/**
 * Assigns riders to the searches, the oldest first. A search that finds no rider, or loses the race for a rider's last
 * place to another matcher, gets a timer for the next attempt.
 */
async function match(
  deps: AssignDeps,
  tx: Transaction,
  orders: ReadonlyMap<OrderId, Order>,
  searches: readonly Search[],
  afterCommit: AfterCommit,
): Promise<Event[]> {
  if (searches.length === 0) return [];
  const oldestFirst = searches.toSorted((a, b) => a.delivery.requestedAt - b.delivery.requestedAt);
  const pickups = oldestFirst.map(({ delivery }) => delivery.pickup);
  const free = await deps.riders.free(tx, pickups, searches.length);
  const chosen = chooseRiders(
    oldestFirst.map(({ delivery }) => delivery),
    free,
    deps.rules,
  );
  const places = new Map<string, number>();
  for (const riderId of chosen.values()) places.set(riderId, (places.get(riderId) ?? 0) + 1);
  const taken = new Map(await deps.riders.take(tx, places));
  const riders = new Map(free.map((rider) => [rider.id, rider]));
  const at = deps.clock.now();
  const assignments: Assignment[] = [];
  const assigned: Change[] = [];
  const unassigned: Change[] = [];
  for (const { delivery, before, traceparent } of oldestFirst) {
    const riderId = chosen.get(delivery.orderId);
    const left = (riderId && taken.get(riderId)) || 0;
    if (!riderId || left === 0) {
      unassigned.push({ before, after: { ...delivery, attempts: delivery.attempts + 1 }, traceparent });
      continue;
    }
    taken.set(riderId, left - 1);
    const after = assign(delivery, { riderId, at, holdsPlace: true });
    assigned.push({ before, after, traceparent });
    assignments.push({ delivery: after, rider: riders.get(riderId), traceparent });
  }
  const events = [...(await storeChanges(deps, tx, unassigned)), ...announceChanges(deps, assigned)];
  const timers = unassigned.map(({ after: { orderId, attempts } }): Timer => {
    return { kind: 'rider', orderId, dueAt: at + searchDelayMs(attempts - 1) };
  });
  await setTimers(deps, tx, timers, afterCommit);
  return [...events, ...(await storeAssignments(deps, tx, orders, assignments, afterCommit))];
}

/** Moves the orders to RIDER_ASSIGNED, stores the deliveries with their first ETA and its timer, and returns the events. */
export async function storeAssignments(
  deps: Omit<AssignDeps, 'catalogue'>,
  tx: Transaction,
  orders: ReadonlyMap<OrderId, Order>,
  assignments: readonly Assignment[],
  afterCommit: AfterCommit,
): Promise<Event[]> {
  if (assignments.length === 0) return [];
  const commands = assignments.map(({ delivery, traceparent }) => ({
    id: delivery.orderId,
    command: { type: 'advance', to: 'RIDER_ASSIGNED', by: 'fact' } as const,
    traceparent,
  }));
  const { events } = await decideOrders(deps, tx, PRODUCER, orders, commands);
  const updated = assignments.map(({ delivery, rider, traceparent }) =>
    withEta(deps, delivery, rider, traceparent, 'RIDER_ASSIGNED'),
  );
  await deps.deliveries.save(
    tx,
    updated.map(({ delivery }) => delivery),
  );
  const timers = updated.map(({ timer }) => timer);
  await setTimers(deps, tx, timers, afterCommit);
  const searched = assignments.filter(({ delivery }) => delivery.attempts > 0);
  await stopSearching(
    deps,
    tx,
    searched.map(({ delivery }) => delivery.orderId),
  );
  return [...events, ...updated.map(({ event }) => event)];
}

async function stopSearching(
  { timers }: Pick<AssignDeps, 'timers'>,
  tx: Transaction,
  orderIds: readonly OrderId[],
): Promise<void> {
  if (orderIds.length === 0) return;
  await timers.clear(
    tx,
    orderIds.map((orderId) => ({ kind: 'rider', orderId })),
  );
}

/** Finds riders: for deliveries as they are asked for, and again for those that nobody was free for. */
import { fact } from '../../domain/announce.ts';
import { assign, type Delivery, type Place, type Rider, release } from '../../domain/delivery.ts';
import type { EtaRules } from '../../domain/eta.ts';
import type { Event, EventOf } from '../../domain/events.ts';
import { chooseRiders, type MatchingRules, searchDelayMs } from '../../domain/matching.ts';
import { nextMilestones, type Order, type OrderId } from '../../domain/order.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import { type DecideDeps, decideOrders, lockOrdersOf } from '../decide-orders.ts';
import type { Catalogue, Restaurant } from '../inventory/ports.ts';
import type { Transaction } from '../ports.ts';
import type { Timer } from '../scheduling/ports.ts';
import { setTimers } from '../scheduling/set-timers.ts';
import type { Consumer } from '../stream/consumer.ts';
import { PRODUCER, type RefreshDeps, withEta } from './refresh-eta.ts';

/** Each of a batch chooses among as many riders as there are deliveries in it, so the work grows with its square. */
const BATCH = 200;

export interface AssignDeps extends RefreshDeps, DecideDeps {
  readonly catalogue: Pick<Catalogue, 'look'>;
  readonly rules: EtaRules & MatchingRules;
}

/** A delivery that looks for a rider. */
interface Search {
  readonly delivery: Delivery;
  readonly traceparent: string | undefined;
}

/** A delivery that has got one. */
export interface Assignment extends Search {
  /** Absent where we do not know them. */
  readonly rider: Rider | undefined;
}

type Restaurants = ReadonlyMap<string, Restaurant>;
type AfterCommit = (work: () => Promise<void>) => void;

export function wantsRider(order: Order): boolean {
  return nextMilestones(order).includes('RIDER_ASSIGNED');
}

/** A delivery for each order that wants a rider, and a rider for it where there is one. */
export function requestConsumer(deps: AssignDeps): Consumer<'rider.requested', Restaurants> {
  return {
    name: `${PRODUCER}.request`,
    topics: ['rider_request'],
    types: ['rider.requested'],
    batchSize: BATCH,
    perform: (events) => restaurantsOf(deps, events),
    async apply(tx, events, restaurants, afterCommit) {
      const orders = await lockOrdersOf(tx, events);
      const known = await deps.deliveries.lock(tx, [...orders.keys()]);
      const searches = new Map<OrderId, Search>();
      for (const event of events) {
        const id = event.orderId as OrderId;
        const order = orders.get(id);
        if (!order || !wantsRider(order) || known.has(id)) continue;
        searches.set(id, { delivery: requested(event, restaurants), traceparent: event.traceparent });
      }
      return match(deps, tx, orders, [...searches.values()], afterCommit);
    },
  };
}

/** Tries again for the deliveries whose wait is over. */
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
      const unwanted: Delivery[] = [];
      const over: OrderId[] = [];
      for (const [id, traceparent] of ids) {
        const delivery = deliveries.get(id);
        const order = orders.get(id);
        const isSearching = delivery?.state === 'REQUESTED';
        if (isSearching && order && wantsRider(order)) searches.push({ delivery, traceparent });
        else over.push(id);
        if (isSearching && !(order && wantsRider(order))) unwanted.push(release(delivery));
      }
      await deps.deliveries.save(tx, unwanted);
      await stopSearching(deps, tx, over);
      return match(deps, tx, orders, searches, afterCommit);
    },
  };
}

type PickedUpAt = EventOf<'rider.requested' | 'delivery.assigned'>;

/** The restaurants that the pickups are at, as far as they are known. */
export async function restaurantsOf(
  { catalogue }: Pick<AssignDeps, 'catalogue'>,
  events: readonly PickedUpAt[],
): Promise<Restaurants> {
  const ids = new Set(events.flatMap(({ payload }) => payload.pickupLocation?.restaurantId ?? []));
  return ids.size === 0 ? new Map() : (await catalogue.look({ restaurants: [...ids] })).restaurants;
}

/** What an event says of where to pick up. */
export function pickupOf({ payload }: PickedUpAt, restaurants: Restaurants): Partial<Delivery> {
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

/** Whoever asked first chooses first. Another matcher may take a chosen rider's last place first: then it is tried again later. */
async function match(
  deps: AssignDeps,
  tx: Transaction,
  orders: ReadonlyMap<OrderId, Order>,
  searches: readonly Search[],
  afterCommit: AfterCommit,
): Promise<Event[]> {
  if (searches.length === 0) return [];
  const inTurn = searches.toSorted((a, b) => a.delivery.requestedAt - b.delivery.requestedAt);
  const pickups = inTurn.map(({ delivery }) => delivery.pickup);
  const free = await deps.riders.free(tx, pickups, searches.length);
  const chosen = chooseRiders(
    inTurn.map(({ delivery }) => delivery),
    free,
    deps.rules,
  );
  const places = new Map<string, number>();
  for (const riderId of chosen.values()) places.set(riderId, (places.get(riderId) ?? 0) + 1);
  const taken = new Map(await deps.riders.take(tx, places));
  const riders = new Map(free.map((rider) => [rider.id, rider]));
  const at = deps.clock.now();
  const assignments: Assignment[] = [];
  const inVain: Delivery[] = [];
  for (const { delivery, traceparent } of inTurn) {
    const riderId = chosen.get(delivery.orderId);
    const left = (riderId && taken.get(riderId)) || 0;
    if (!riderId || left === 0) {
      inVain.push({ ...delivery, attempts: delivery.attempts + 1 });
      continue;
    }
    taken.set(riderId, left - 1);
    const assigned = assign(delivery, { riderId, at, holdsPlace: true });
    assignments.push({ delivery: assigned, rider: riders.get(riderId), traceparent });
  }
  await deps.deliveries.save(tx, inVain);
  const timers = inVain.map(({ orderId, attempts }): Timer => {
    return { kind: 'rider', orderId, dueAt: at + searchDelayMs(attempts - 1) };
  });
  await setTimers(deps, tx, timers, afterCommit);
  const announced = assignments.map((assignment) => assignedEvent(deps, assignment, at));
  return [...announced, ...(await takeUp(deps, tx, orders, assignments, afterCommit))];
}

/** Orders and deliveries go on with their riders; the events of that, and the first ETA of each. */
export async function takeUp(
  deps: Omit<AssignDeps, 'catalogue'>,
  tx: Transaction,
  orders: ReadonlyMap<OrderId, Order>,
  assignments: readonly Assignment[],
  afterCommit: AfterCommit,
): Promise<Event[]> {
  if (assignments.length === 0) return [];
  const wanted = assignments.map(({ delivery, traceparent }) => ({
    id: delivery.orderId,
    command: { type: 'advance', to: 'RIDER_ASSIGNED', by: 'fact' } as const,
    traceparent,
  }));
  const { events } = await decideOrders(deps, tx, PRODUCER, orders, wanted);
  const updated = assignments.map(({ delivery, rider, traceparent }) =>
    withEta(deps, delivery, rider, traceparent),
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

function assignedEvent(
  { newEventId }: AssignDeps,
  { delivery, traceparent }: Assignment,
  at: number,
): EventOf<'delivery.assigned'> {
  const { orderId, riderId = '', restaurantId, pickupAddress } = delivery;
  const payload = {
    riderId,
    assignedAt: toRfc3339(at),
    ...(pickupAddress === undefined
      ? {}
      : { pickupLocation: { ...(restaurantId ? { restaurantId } : {}), address: pickupAddress } }),
  };
  return fact('delivery.assigned', orderId, payload, {
    eventId: newEventId(),
    at,
    producer: PRODUCER,
    traceparent,
  });
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

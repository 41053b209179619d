/** Invariants of orders: none is lost, late, early or processed twice, and each takes only the steps it may take. */
import { by, group, type History, type State } from './history.ts';
import { each, hasEnded, type Invariant, together } from './verdict.ts';

type OrderRow = State<'order'>;
type Entry = NonNullable<OrderRow['timeline']>[number];

/** An order whose placing was acknowledged is in the store. */
export const acknowledgedOrdersExist: Invariant = ({ operations, states }) => {
  const orders = by(states.order, 'orderId');
  return each(operations, ({ op, outcome, orderId }) =>
    op !== 'place' || outcome !== 'ok'
      ? undefined
      : orders.has(orderId)
        ? []
        : [`order ${orderId} was acknowledged and is not in the store`],
  );
};

/** An order leaves each waiting state within its limit; without limits it has ended. */
export const endedByDeadline: Invariant = ({ run, states }) =>
  each(states.order, (order) => {
    const { orderId, status, timeline } = order;
    const { limits } = run;
    if (!limits || !timeline) return hasEnded(status) ? [] : [`order ${orderId} is still ${status}`];
    const steps = statusesOf(order);
    return steps.flatMap((step, n) => {
      const limit = limitOf(order, step.status, limits);
      if (limit === undefined) return [];
      const since = step.status === 'CREATED' ? (order.dueAt ?? step.at) : startOf(steps, limit.since, step);
      const leftAt = steps[n + 1]?.at ?? run.endedAt;
      const overMs = leftAt - since - limit.ms - run.graceMs;
      return overMs > 0 ? [`order ${orderId} was ${step.status} for ${overMs} ms longer than it may`] : [];
    });
  });

function startOf(steps: readonly { status: string; at: number }[], since: string, step: { at: number }) {
  return steps.find(({ status }) => status === since)?.at ?? step.at;
}

/** The limit of a state, counted from the moment at which the order reached the state `since`. */
function limitOf(
  { restaurantId, isDelivered }: OrderRow,
  status: string,
  limits: NonNullable<History['run']['limits']>,
): { ms: number; since: string } | undefined {
  switch (status) {
    case 'CREATED':
      return { ms: limits.dispatch, since: 'CREATED' };
    case 'PROCESSING':
      return { ms: limits.processing, since: 'PROCESSING' };
    case 'CONFIRMED':
      if (restaurantId) return { ms: limits.acceptance, since: 'CONFIRMED' };
      return { ms: isDelivered ? limits.rider : limits.processing, since: 'CONFIRMED' };
    case 'ACCEPTED':
    case 'PREPARING':
      return { ms: isDelivered ? limits.rider : limits.collection, since: 'ACCEPTED' };
    case 'RIDER_ASSIGNED':
      return { ms: limits.pickUp, since: 'RIDER_ASSIGNED' };
    case 'OUT_FOR_DELIVERY':
      return { ms: limits.delivery, since: 'OUT_FOR_DELIVERY' };
    default:
      return undefined;
  }
}

/** Written out here, and not taken from the product, so that a fault in the product's own table is seen. */
const MAY_FOLLOW: Readonly<Record<string, readonly string[]>> = {
  CREATED: ['PROCESSING'],
  PROCESSING: ['CONFIRMED', 'COMPLETED'],
  CONFIRMED: ['ACCEPTED', 'RIDER_ASSIGNED', 'COMPLETED', 'REJECTED'],
  ACCEPTED: ['PREPARING', 'RIDER_ASSIGNED', 'OUT_FOR_DELIVERY', 'COMPLETED'],
  PREPARING: ['RIDER_ASSIGNED', 'OUT_FOR_DELIVERY', 'COMPLETED'],
  RIDER_ASSIGNED: ['OUT_FOR_DELIVERY'],
  OUT_FOR_DELIVERY: ['DELIVERED'],
};

/** A timeline begins with CREATED, and each status may follow the one before it. */
export const legalTransitions: Invariant = ({ states }) =>
  each(states.order, (order) => {
    if (!order.timeline) return undefined;
    const steps = statusesOf(order).map(({ status }) => status);
    const path = steps.flatMap((to, n) => {
      const from = steps[n - 1];
      const isLegal =
        from === undefined
          ? to === 'CREATED'
          : MAY_FOLLOW[from] !== undefined &&
            (MAY_FOLLOW[from].includes(to) || to === 'FAILED' || to === 'CANCELLED');
      return isLegal ? [] : [`order ${order.orderId} went from ${from ?? 'nothing'} to ${to}`];
    });
    const last = steps.at(-1);
    return last === order.status
      ? path
      : [...path, `order ${order.orderId} is ${order.status}, and its timeline ends with ${last}`];
  });

/** The version counts the timeline's entries, and the events of an order carry each version once. */
export const versionsWithoutGap: Invariant = ({ states }) => {
  const events = group(
    [...by(states.event, 'eventId').values()].filter(({ version }) => version !== undefined),
    ({ orderId }) => orderId,
  );
  return each(states.order, ({ orderId, version, timeline }) => {
    if (version === undefined) return undefined;
    const versions = (events.get(orderId) ?? [])
      .map((event) => event.version as number)
      .sort((a, b) => a - b);
    const expected = Array.from({ length: version }, (_, n) => n + 1);
    return [
      ...(timeline && timeline.length !== version
        ? [`order ${orderId} has version ${version} and ${timeline.length} entries in its timeline`]
        : []),
      ...(versions.length > 0 && versions.join() !== expected.join()
        ? [`order ${orderId} has version ${version}, and its events have ${versions.join(', ')}`]
        : []),
    ];
  });
};

/** No order is dispatched or processed before its due time. */
export const noneBeforeItsTime: Invariant = ({ states, run }) =>
  together(
    each(states.order, (order) => {
      const start = statusesOf(order).find(({ status }) => status === 'PROCESSING');
      if (!start || order.dueAt === undefined) return undefined;
      const earlyMs = order.dueAt - start.at - run.skewMs;
      return earlyMs > 0 ? [`order ${order.orderId} was processed ${earlyMs} ms before its time`] : [];
    }),
    each(states.event, ({ eventType, orderId, at, dueAt }) => {
      if (eventType !== 'order.ready' || dueAt === undefined) return undefined;
      const earlyMs = dueAt - at - run.skewMs;
      return earlyMs > 0 ? [`order ${orderId} was dispatched ${earlyMs} ms before its time`] : [];
    }),
  );

/** An order is processed once; the event log may hold the same event twice. */
export const processedOnce: Invariant = ({ states }) => {
  const processing = [...by(states.event, 'eventId').values()].filter(
    ({ eventType }) => eventType === 'order.processing',
  );
  const byOrder = group(processing, ({ orderId }) => orderId);
  return each(states.order, (order) => {
    const events = byOrder.get(order.orderId) ?? [];
    if (!order.timeline && events.length === 0) return undefined;
    const starts = statusesOf(order).filter(({ status }) => status === 'PROCESSING').length;
    const times = Math.max(starts, events.length);
    return times > 1 ? [`order ${order.orderId} was processed ${times} times`] : [];
  });
};

/** After an acknowledged cancellation the order is cancelled, stays so, and its processing does not begin. */
export const noneAfterCancel: Invariant = ({ operations, states, run }) => {
  const orders = by(states.order, 'orderId');
  const processing = group(
    states.event.filter(({ eventType }) => eventType === 'order.processing'),
    ({ orderId }) => orderId,
  );
  return each(operations, ({ op, outcome, orderId, returnedAt }) => {
    const order = orders.get(orderId);
    if (op !== 'cancel' || outcome !== 'ok' || !order) return undefined;
    const isLate = ({ at }: { at: number }) => at > returnedAt + run.skewMs;
    const starts = statusesOf(order).filter(({ status }) => status === 'PROCESSING');
    return [
      ...(order.status === 'CANCELLED'
        ? []
        : [`order ${orderId} is ${order.status} although its cancellation was acknowledged`]),
      ...([...starts, ...(processing.get(orderId) ?? [])].some(isLate)
        ? [`order ${orderId} was processed after its cancellation was acknowledged`]
        : []),
    ];
  });
};

export function statusesOf({ timeline = [] }: OrderRow): { status: string; at: number }[] {
  return timeline.filter((entry): entry is Entry & { status: string } => entry.status !== undefined);
}

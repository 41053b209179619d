/** The order's rules: `decide` turns a command into events, `evolve` applies an event to the order. */
import { unreachable } from './errors.ts';
import {
  isFinal,
  journey,
  type Milestone,
  nextMilestones,
  type Order,
  type OrderContent,
  type TimelineEntry,
} from './order.ts';
import { dueTime } from './schedule.ts';

export type OrderCommand =
  /** Refused if the order has been rescheduled `atMost` times; each time is an entry of its timeline, which is kept small. */
  | { readonly type: 'reschedule'; readonly scheduledAt: number; readonly atMost?: number }
  | { readonly type: 'cancel'; readonly reason?: string }
  /** The scheduler dispatched the schedule of `dueAt`; refused if the order was rescheduled since. */
  | { readonly type: 'start'; readonly dueAt: number }
  /** A fact has already happened, so one that arrives late is noted; a request that comes late is refused. */
  | { readonly type: 'advance'; readonly to: Milestone; readonly by: 'fact' | 'request' }
  | { readonly type: 'fail'; readonly reason: string }
  | { readonly type: 'reject'; readonly reason: string };

/** A change of an order; times are epoch ms. */
export type OrderEvent =
  | {
      readonly type: 'created';
      readonly at: number;
      readonly content: OrderContent;
      readonly scheduledAt?: number;
      readonly dueAt: number;
    }
  | {
      readonly type: 'rescheduled';
      readonly at: number;
      readonly scheduledAt: number;
      readonly dueAt: number;
    }
  | { readonly type: 'advanced'; readonly at: number; readonly to: Exclude<Milestone, 'CREATED'> }
  | { readonly type: 'failed'; readonly at: number; readonly reason: string }
  | { readonly type: 'rejected'; readonly at: number; readonly reason: string }
  | { readonly type: 'cancelled'; readonly at: number; readonly reason?: string }
  | { readonly type: 'noted'; readonly at: number; readonly fact: string };

/** The events that a command causes (none if the order is already in the requested state), or why it is refused. */
export type Decision = { readonly events: readonly OrderEvent[] } | { readonly refused: Refusal };
export type Refusal =
  | 'ALREADY_DISPATCHED'
  | 'ILLEGAL_TRANSITION'
  | 'STALE_SCHEDULE'
  | 'RESCHEDULED_TOO_OFTEN';

/** The event that creates an order. */
export function place(content: OrderContent, scheduledAt: number | undefined, now: number): OrderEvent {
  const dueAt = dueTime(scheduledAt, now);
  return { type: 'created', at: now, content, dueAt, ...(scheduledAt === undefined ? {} : { scheduledAt }) };
}

const NO_CHANGE: Decision = { events: [] };
const RESCHEDULED = 'RESCHEDULED';

export function decide(command: OrderCommand, order: Order, now: number): Decision {
  switch (command.type) {
    case 'reschedule': {
      if (order.status !== 'CREATED')
        return { refused: isFinal(order.status) ? 'ILLEGAL_TRANSITION' : 'ALREADY_DISPATCHED' };
      const dueAt = dueTime(command.scheduledAt, now);
      if (dueAt === order.dueAt) return NO_CHANGE;
      if (timesRescheduled(order) >= (command.atMost ?? Number.POSITIVE_INFINITY))
        return { refused: 'RESCHEDULED_TOO_OFTEN' };
      return { events: [{ type: 'rescheduled', at: now, scheduledAt: command.scheduledAt, dueAt }] };
    }
    case 'cancel':
      if (order.status === 'CANCELLED') return NO_CHANGE;
      if (isFinal(order.status)) return { refused: 'ILLEGAL_TRANSITION' };
      return {
        events: [{ type: 'cancelled', at: now, ...(command.reason ? { reason: command.reason } : {}) }],
      };
    case 'start':
      if (order.status !== 'CREATED') return NO_CHANGE;
      if (command.dueAt !== order.dueAt) return { refused: 'STALE_SCHEDULE' };
      return { events: [{ type: 'advanced', at: now, to: 'PROCESSING' }] };
    case 'advance':
      return advance(order, command.to, command.by, now);
    case 'fail':
      if (order.status === 'FAILED' && order.reason === command.reason) return NO_CHANGE;
      if (isFinal(order.status)) return note(order, `FAILED: ${command.reason}`, now);
      return { events: [{ type: 'failed', at: now, reason: command.reason }] };
    case 'reject':
      if (order.status !== 'CONFIRMED' || !order.restaurantId) return { refused: 'ILLEGAL_TRANSITION' };
      return { events: [{ type: 'rejected', at: now, reason: command.reason }] };
    default:
      return unreachable(command);
  }
}

function timesRescheduled({ timeline }: Order): number {
  return timeline.filter((entry) => 'fact' in entry && entry.fact === RESCHEDULED).length;
}

function advance(order: Order, to: Milestone, by: 'fact' | 'request', now: number): Decision {
  if (to !== 'CREATED' && nextMilestones(order).includes(to))
    return { events: [{ type: 'advanced', at: now, to }] };
  if (order.status === to) return NO_CHANGE;
  if (by === 'request') return { refused: 'ILLEGAL_TRANSITION' };
  const path = journey(order);
  const isLate = isFinal(order.status) || path.indexOf(to) < path.indexOf(order.status as Milestone);
  return isLate && path.includes(to) ? note(order, to, now) : { refused: 'ILLEGAL_TRANSITION' };
}

/** A late fact is added to the timeline once; the status stays. */
function note(order: Order, fact: string, now: number): Decision {
  const isInTimeline = order.timeline.some((entry) =>
    'fact' in entry ? entry.fact === fact : entry.status === fact,
  );
  return isInTimeline ? NO_CHANGE : { events: [{ type: 'noted', at: now, fact }] };
}

/** The order after the event. Throws a TypeError if an event other than 'created' has no order. */
export function evolve(order: Order | undefined, event: OrderEvent): Order {
  if (event.type === 'created') {
    return {
      ...event.content,
      status: 'CREATED',
      ...(event.scheduledAt === undefined ? {} : { scheduledAt: event.scheduledAt }),
      dueAt: event.dueAt,
      createdAt: event.at,
      updatedAt: event.at,
      version: 1,
      timeline: [{ status: 'CREATED', at: event.at }],
    };
  }
  if (!order) throw new TypeError(`the first event of an order must be 'created', not '${event.type}'`);
  switch (event.type) {
    case 'rescheduled':
      return changed(
        { ...order, scheduledAt: event.scheduledAt, dueAt: event.dueAt },
        { fact: RESCHEDULED, at: event.at },
      );
    case 'advanced':
      return changed({ ...order, status: event.to }, { status: event.to, at: event.at });
    case 'failed':
      return changed(
        { ...order, status: 'FAILED', reason: event.reason },
        { status: 'FAILED', at: event.at },
      );
    case 'rejected':
      return changed(
        { ...order, status: 'REJECTED', reason: event.reason },
        { status: 'REJECTED', at: event.at },
      );
    case 'cancelled':
      return changed(
        { ...order, status: 'CANCELLED', ...(event.reason ? { reason: event.reason } : {}) },
        { status: 'CANCELLED', at: event.at },
      );
    case 'noted':
      return changed(order, { fact: event.fact, at: event.at });
    default:
      return unreachable(event);
  }
}

function changed(order: Order, entry: TimelineEntry): Order {
  return { ...order, updatedAt: entry.at, version: order.version + 1, timeline: [...order.timeline, entry] };
}

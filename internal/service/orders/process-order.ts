/** Starts orders that the scheduler has dispatched, and completes those that have nothing to fulfil. */
import { reachedAt } from '../../domain/deadlines.ts';
import { type EventOf, parseEvent } from '../../domain/events.ts';
import { journey, type Order, type OrderId } from '../../domain/order.ts';
import { decideForEvents } from '../decide-orders.ts';
import type { Clock, Log } from '../ports.ts';
import type { DueQueue, Timer, Waiting } from '../scheduling/ports.ts';
import { setTimers, type TimerDeps } from '../scheduling/set-timers.ts';
import type { Consumer } from '../stream/consumer.ts';
import { readEvent } from '../stream/external-records.ts';
import type { Delivery } from '../stream/ports.ts';
import type { OrderStore } from './ports.ts';
import { type LogicOptions, type LogicResult, logicRunner } from './run-logic.ts';

const PRODUCER = 'processing-service';

export interface ProcessDeps {
  readonly orders: OrderStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly newEventId: () => string;
}

/** The wait before the order logic is called again for an order. */
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

export interface CompleteDeps extends ProcessDeps, TimerDeps {}
type CompleteTrigger = 'order.processing' | 'timer.logic';

export interface StartDeps extends ProcessDeps {
  readonly queue: DueQueue;
  readonly eventIdFor: (name: string) => string;
}

/** CREATED → PROCESSING for a dispatched order; refused if the order was rescheduled since. */
export function startConsumer(deps: StartDeps): Consumer<'order.ready', void> {
  return {
    name: 'processing-service.start',
    topics: ['order.ready'],
    types: ['order.ready'],
    isIdempotent: true,
    read: (delivery) => readFlatReady(delivery, deps.eventIdFor) ?? readEvent(delivery, ['order.ready']),
    async apply(tx, events, _performed, afterCommit) {
      const rescheduled: Waiting[] = [];
      const announced = await decideForEvents(deps, tx, PRODUCER, events, (event, order) => {
        const dueAt = dispatchedSchedule(event, order);
        if (order.status === 'CREATED' && dueAt !== order.dueAt)
          rescheduled.push({ orderId: order.id, dueAt: order.dueAt });
        return { type: 'start', dueAt };
      });
      // The dispatch of the old schedule may have removed the order from the queue. If this is lost, the reconciler adds it.
      if (rescheduled.length > 0)
        afterCommit(async () => void (await deps.queue.schedule(rescheduled, { onlyMissing: true })));
      return announced;
    },
  };
}

/** Reads the record `{order_id, ready_at}` of another scheduler; undefined for every other record. */
function readFlatReady({ topic, position, record }: Delivery, eventIdFor: (name: string) => string) {
  const { order_id: orderId, ready_at: readyAt, eventType } = (record ?? {}) as Record<string, unknown>;
  if (orderId === undefined || eventType !== undefined) return undefined;
  return parseEvent({
    eventId: eventIdFor(`${topic}/${position}`),
    eventType: 'order.ready',
    schemaVersion: 1,
    occurredAt: readyAt,
    producedAt: readyAt,
    orderId,
    correlationId: orderId,
    producer: 'another system',
    payload: { readyAt },
  });
}

/** The due time for which the order was dispatched. Another scheduler dispatches an order that is due by its `readyAt`. */
function dispatchedSchedule({ payload }: EventOf<'order.ready'>, order: Order): number {
  if (payload.dueAt !== undefined) return Date.parse(payload.dueAt);
  return Math.min(order.dueAt, Date.parse(payload.readyAt));
}

/**
 * PROCESSING → COMPLETED or FAILED for an order that has nothing to fulfil; inventory and payment continue all others.
 * With order logic, each order follows the result of its own call; an order without a result gets a timer and is tried again.
 */
export function completeConsumer(
  deps: CompleteDeps,
  logic?: LogicOptions,
): Consumer<CompleteTrigger, Map<OrderId, LogicResult> | undefined> {
  const runner = logic && logicRunner(logic, deps.log);
  return {
    name: 'processing-service.complete',
    topics: ['raw.order-events', 'timers'],
    types: ['order.processing', 'timer.logic'],
    ...(runner
      ? { perform: async (events) => runner.run(await withoutFulfilment(deps, events)) }
      : { isIdempotent: true }),
    async apply(tx, all, results, afterCommit) {
      const events = all.filter(({ payload }) => !('next' in payload) || payload.next !== 'CONFIRMED');
      const retries = new Map<OrderId, Timer>();
      const announced = await decideForEvents(deps, tx, PRODUCER, events, (event, order) => {
        if (!hasNothingToFulfil(order)) return undefined;
        const result = runner ? results?.get(order.id) : 'done';
        if (result === 'done') return { type: 'advance', to: 'COMPLETED', by: 'fact' };
        if (typeof result === 'object') return { type: 'fail', reason: result.failed };
        if (order.status === 'PROCESSING')
          retries.set(order.id, retryOf(event, order, result, deps.clock.now()));
        return undefined;
      });
      await setTimers(deps, tx, [...retries.values()], afterCommit);
      const finished = events
        .filter(({ eventType, orderId }) => eventType === 'timer.logic' && !retries.has(orderId as OrderId))
        .map(({ orderId }) => ({ kind: 'logic' as const, orderId: orderId as OrderId }));
      if (finished.length > 0) await deps.timers.clear(tx, finished);
      if (results) afterCommit(async () => runner?.forget([...results.keys()]));
      return announced;
    },
  };
}

function hasNothingToFulfil(order: Order): boolean {
  return journey(order)[2] === 'COMPLETED';
}

/** The events' orders that are still PROCESSING and have nothing to fulfil, each once. */
async function withoutFulfilment(
  { orders }: ProcessDeps,
  events: readonly EventOf<CompleteTrigger>[],
): Promise<Order[]> {
  const found = await orders.find([...new Set(events.map((event) => event.orderId as OrderId))]);
  return found.filter((order) => order.status === 'PROCESSING' && hasNothingToFulfil(order));
}

/** The timer of the next call. The waits double: each is as long as the order has been PROCESSING, within bounds. */
function retryOf(
  { payload }: EventOf<CompleteTrigger>,
  order: Order,
  result: LogicResult | undefined,
  now: number,
): Timer {
  const age = now - reachedAt(order, 'PROCESSING');
  const delay = result === 'unavailable' ? Math.min(Math.max(age, FIRST_RETRY_MS), LONGEST_RETRY_MS) : 0;
  // Later than the timer that ran out: one with the same due time would be the same event, which was handled already.
  const last = 'dueAt' in payload ? Date.parse(payload.dueAt) : 0;
  return { kind: 'logic', orderId: order.id, dueAt: Math.max(now + delay, last + 1) };
}

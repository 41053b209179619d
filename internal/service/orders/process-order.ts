/** Starts orders that the scheduler has dispatched, and completes those that have nothing to fulfil. */
import pMap from 'p-map';
import { faultOf, TiffinError } from '../../domain/errors.ts';
import { type EventOf, parseEvent } from '../../domain/events.ts';
import { journey, type Order, type OrderId } from '../../domain/order.ts';
import { decideForEvents } from '../decide-orders.ts';
import type { Clock, Log } from '../ports.ts';
import type { DueQueue, Waiting } from '../scheduling/ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import { readEvent } from '../stream/external-records.ts';
import type { Delivery } from '../stream/ports.ts';
import type { OrderStore } from './ports.ts';

const PRODUCER = 'processing-service';

export interface ProcessDeps {
  readonly orders: OrderStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly newEventId: () => string;
}

/**
 * Custom logic for an order that is PROCESSING. Runs outside any transaction, and again for the same order after a crash.
 * An error makes the order FAILED with the error's message as reason; an error with the code UNAVAILABLE is retried.
 */
export type OrderLogic = (order: Order) => Promise<void>;

/** The largest number of orders whose logic runs at a time. */
const LOGIC_CONCURRENCY = 32;

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

/** PROCESSING → COMPLETED or FAILED for an order that has nothing to fulfil; inventory and payment continue all others. */
export function completeConsumer(
  deps: ProcessDeps,
  logic?: OrderLogic,
): Consumer<'order.processing', Map<string, string> | undefined> {
  return {
    name: 'processing-service.complete',
    topics: ['raw.order-events'],
    types: ['order.processing'],
    ...(logic ? { perform: (events) => runLogic(deps, logic, events) } : { isIdempotent: true }),
    apply: (tx, all, failures) => {
      const events = all.filter(({ payload }) => payload.next !== 'CONFIRMED');
      return decideForEvents(deps, tx, PRODUCER, events, (event, order) => {
        const reason = failures?.get(event.orderId);
        if (reason !== undefined) return { type: 'fail', reason };
        return hasNothingToFulfil(order) ? { type: 'advance', to: 'COMPLETED', by: 'fact' } : undefined;
      });
    },
  };
}

function hasNothingToFulfil(order: Order): boolean {
  return journey(order)[2] === 'COMPLETED';
}

/** Runs the logic for all orders that are still PROCESSING; returns the reasons of failures by order id. */
async function runLogic(
  { orders }: ProcessDeps,
  logic: OrderLogic,
  events: readonly EventOf<'order.processing'>[],
): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  const found = await orders.find(events.map((event) => event.orderId as OrderId));
  const pending = found.filter((order) => order.status === 'PROCESSING' && hasNothingToFulfil(order));
  let unavailable: unknown;
  const run = async (order: Order) => {
    if (unavailable) return;
    try {
      await logic(order);
    } catch (error) {
      if ((error as { code?: unknown } | null)?.code === 'UNAVAILABLE') unavailable = error;
      else failures.set(order.id, asReason(error));
    }
  };
  await pMap(pending, run, { concurrency: LOGIC_CONCURRENCY });
  // Thrown only after all runs have ended: the batch is redelivered, and an order's logic must not run twice at a time.
  if (unavailable)
    throw new TiffinError('UNAVAILABLE', 'a dependency of the order logic is unavailable', {
      cause: unavailable,
    });
  return failures;
}

/** The error's message as text that Postgres can store, up to 256 characters. */
function asReason(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : faultOf(error);
  return text.replace(/[\p{Cc}\p{Cs}]/gu, ' ').slice(0, 256);
}

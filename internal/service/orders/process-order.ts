/** Starts orders that the scheduler has dispatched, and completes those that have nothing to fulfil. */
import pMap from 'p-map';
import { TiffinError } from '../../domain/errors.ts';
import type { EventOf } from '../../domain/events.ts';
import { journey, type Order, type OrderId } from '../../domain/order.ts';
import { decideForEvents } from '../decide-orders.ts';
import type { Clock, Log } from '../ports.ts';
import type { DueQueue, Waiting } from '../scheduling/ports.ts';
import type { Consumer } from '../stream/consumer.ts';
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

/** CREATED → PROCESSING for a dispatched order; refused if the order was rescheduled since. */
export function startConsumer(deps: ProcessDeps & { queue: DueQueue }): Consumer<'order.ready', void> {
  return {
    name: 'processing-service.start',
    topics: ['order.ready'],
    types: ['order.ready'],
    isIdempotent: true,
    async apply(tx, events, _performed, afterCommit) {
      const rescheduled: Waiting[] = [];
      const announced = await decideForEvents(deps, tx, PRODUCER, events, (event, order) => {
        const dueAt = Date.parse(event.payload.dueAt);
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
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replace(/[\p{Cc}\p{Cs}]/gu, ' ').slice(0, 256);
}

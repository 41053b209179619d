/** Carries orders on once they are ready: to PROCESSING, through what they need, to their end. */

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
 * The order's own logic, run once an order is PROCESSING and outside any transaction; after a crash it may run again for
 * the same order. What it throws is the reason the order becomes FAILED; with the code UNAVAILABLE it is tried again.
 */
export type OrderLogic = (order: Order) => Promise<void>;

/** Runs of the order's logic at a time. */
const LOGIC_CONCURRENCY = 32;

/** CREATED → PROCESSING for what the scheduler sent off; a schedule that was replaced meanwhile is refused. */
export function startConsumer(deps: ProcessDeps & { queue: DueQueue }): Consumer<'order.ready', void> {
  return {
    name: 'processing-service.start',
    topics: ['order.ready'],
    types: ['order.ready'],
    isIdempotent: true,
    async apply(tx, events, _performed, afterCommit) {
      const replaced: Waiting[] = [];
      const announced = await decideForEvents(deps, tx, PRODUCER, events, (event, order) => {
        const dueAt = Date.parse(event.payload.dueAt);
        if (order.status === 'CREATED' && dueAt !== order.dueAt)
          replaced.push({ orderId: order.id, dueAt: order.dueAt });
        return { type: 'start', dueAt };
      });
      // An order that was moved must be waiting for its new time; what is lost here, reconciling adds.
      if (replaced.length > 0)
        afterCommit(async () => void (await deps.queue.schedule(replaced, { onlyMissing: true })));
      return announced;
    },
  };
}

/** PROCESSING → COMPLETED or FAILED, for an order with nothing to fulfil; one that carries more goes to stock and payment. */
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
        return needsNothing(order) ? { type: 'advance', to: 'COMPLETED', by: 'fact' } : undefined;
      });
    },
  };
}

function needsNothing(order: Order): boolean {
  return journey(order)[2] === 'COMPLETED';
}

/** The reasons of the orders that failed, by order id. */
async function runLogic(
  { orders }: ProcessDeps,
  logic: OrderLogic,
  events: readonly EventOf<'order.processing'>[],
): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  const found = await orders.find(events.map((event) => event.orderId as OrderId));
  // What was cancelled meanwhile is not to be worked on.
  const pending = found.filter((order) => order.status === 'PROCESSING' && needsNothing(order));
  let away: unknown;
  const run = async (order: Order) => {
    if (away) return;
    try {
      await logic(order);
    } catch (error) {
      if ((error as { code?: unknown } | null)?.code === 'UNAVAILABLE') away = error;
      else failures.set(order.id, asReason(error));
    }
  };
  await pMap(pending, run, { concurrency: LOGIC_CONCURRENCY });
  // Not before all runs have ended: the batch is delivered again, and no order's logic may run twice at a time.
  if (away)
    throw new TiffinError('UNAVAILABLE', 'the logic of an order waits for a dependency', { cause: away });
  return failures;
}

/** What was thrown, in text that a database can hold. */
function asReason(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replace(/[\p{Cc}\p{Cs}]/gu, ' ').slice(0, 256);
}

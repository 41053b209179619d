/** Runs the order logic of an installation (ORDER_LOGIC): each order has a time limit and a result of its own. */
import pMap from 'p-map';
import { faultOf } from '../../domain/errors.ts';
import type { Order, OrderId } from '../../domain/order.ts';
import type { Log } from '../ports.ts';
import { within } from '../time-limit.ts';

/** What the logic gets beside the order. */
export interface LogicCall {
  /** Aborted when the time limit has passed. */
  readonly signal: AbortSignal;
  /** The same for every call for this order, so that a system the logic calls can recognise a repeated request. */
  readonly idempotencyKey: string;
}

/**
 * Custom logic for an order that is PROCESSING. Runs outside any transaction. An error makes the order FAILED with the
 * error's message as reason. After an error with the code UNAVAILABLE, or no result within the time limit, it is called
 * again later, until the order's deadline.
 */
export type OrderLogic = (order: Order, call: LogicCall) => Promise<void>;

export interface LogicOptions {
  readonly run: OrderLogic;
  /** The time limit of one call, milliseconds. */
  readonly timeoutMs: number;
}

/** `postponed` orders were not reached in time; they and `unavailable` ones are tried again. */
export type LogicResult = 'done' | 'unavailable' | 'postponed' | { readonly failed: string };

/** The largest number of orders whose logic runs at a time. */
const CONCURRENCY = 32;
/** Kept results of batches that were never committed here, for instance because another process got them. */
const KEPT_RESULTS = 10_000;

export interface LogicRunner {
  /**
   * Runs the logic of the orders. No call begins later than one time limit after the first, so that calls that never end
   * hold up the other orders of a batch for two time limits at most.
   */
  run(orders: readonly Order[]): Promise<Map<OrderId, LogicResult>>;
  /** Called after the results of these orders are stored. */
  forget(ids: readonly OrderId[]): void;
}

export function logicRunner({ run: logic, timeoutMs }: LogicOptions, log: Log): LogicRunner {
  /** Results that are not stored yet: a batch whose transaction failed comes again, and its logic must not. */
  const kept = new Map<OrderId, LogicResult>();

  async function call(order: Order): Promise<LogicResult> {
    const signal = AbortSignal.timeout(timeoutMs);
    const run = async () => logic(order, { signal, idempotencyKey: `${order.id}:logic` });
    try {
      await within(timeoutMs, run(), 'the order logic');
      return 'done';
    } catch (error) {
      // A call that was aborted usually rejects with the signal's reason, which has no code.
      const isUnavailable = signal.aborted || (error as { code?: unknown } | null)?.code === 'UNAVAILABLE';
      return isUnavailable ? 'unavailable' : { failed: asReason(error) };
    }
  }

  return {
    async run(orders) {
      const startedAt = performance.now();
      const results = new Map<OrderId, LogicResult>();
      if (kept.size > KEPT_RESULTS) kept.clear();
      const resultOf = async (order: Order) => {
        const known = kept.get(order.id);
        const isLate = performance.now() - startedAt >= timeoutMs;
        const result = known ?? (isLate ? 'postponed' : await call(order));
        if (result === 'done' || typeof result === 'object') kept.set(order.id, result);
        results.set(order.id, result);
      };
      await pMap(orders, resultOf, { concurrency: CONCURRENCY });
      const count = (wanted: LogicResult) => [...results.values()].filter((one) => one === wanted).length;
      const [unavailable, postponed] = [count('unavailable'), count('postponed')];
      if (unavailable > 0)
        log.warn(
          { unavailable, postponed },
          'the order logic gave no result for some orders, and is retried',
        );
      return results;
    },
    forget(ids) {
      for (const id of ids) kept.delete(id);
    },
  };
}

/** The error's message as text that Postgres can store, up to 256 characters. */
function asReason(error: unknown): string {
  const text: unknown = error instanceof Error ? error.message || error.name : faultOf(error);
  if (typeof text !== 'string' || text === '') return 'the order logic failed without a message';
  return text.replace(/[\p{Cc}\p{Cs}]/gu, ' ').slice(0, 256);
}

/** What the dispatcher did: one log line for each second in which it did something, and the same numbers for /scheduler. */
import type { Log, Meter } from '../ports.ts';
import type { Claim, DueQueue, ScheduleState, Waiting } from './ports.ts';

const LINE_EVERY_MS = 1_000;

/** Milliseconds from the time an order was due to the moment the stream had it. */
export interface Lateness {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface DispatchLine {
  readonly claimed: number;
  readonly published: number;
  /** Of the claimed, those that were claimed before and not acknowledged. */
  readonly redelivered: number;
  /** Claimed and not published: their leases run out, and the orders become due again. */
  readonly failed: number;
  readonly waiting: number;
  readonly lateMs: Lateness | undefined;
}

export interface DispatchReport {
  state: ScheduleState;
  readonly totals: { claimed: number; published: number; redelivered: number; failed: number };
  /** The line logged last, and when, epoch ms. */
  readonly last: { readonly at: number; readonly line: DispatchLine } | undefined;
  claimed(claim: Claim): void;
  /** `publishedAt` is epoch ms by Redis's clock. */
  published(orders: readonly Waiting[], publishedAt: number): void;
  failed(orders: number): void;
  /** Logs what has not been logged yet. */
  flush(): Promise<void>;
}

export function dispatchReport({
  queue,
  log,
  meter,
}: {
  queue: DueQueue;
  log: Log;
  meter: Meter;
}): DispatchReport {
  const totals = { claimed: 0, published: 0, redelivered: 0, failed: 0 };
  let logged = { ...totals };
  let lateness: number[] = [];
  let lastLineAt = Number.NEGATIVE_INFINITY;
  let last: DispatchReport['last'];
  let timer: NodeJS.Timeout | undefined;

  function lineSoon(): void {
    const wait = Math.max(0, lastLineAt + LINE_EVERY_MS - performance.now());
    timer ??= setTimeout(() => void flush(), wait).unref();
  }

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const line = {
      claimed: totals.claimed - logged.claimed,
      published: totals.published - logged.published,
      redelivered: totals.redelivered - logged.redelivered,
      failed: totals.failed - logged.failed,
    };
    const lateMs = percentiles(lateness);
    lateness = [];
    logged = { ...totals };
    lastLineAt = performance.now();
    if (line.published === 0 && line.failed === 0) return;
    const { waiting } = await queue.size().catch(() => ({ waiting: Number.NaN }));
    last = { at: Date.now(), line: { ...line, waiting, lateMs } };
    log.info({ ...last.line }, `dispatched ${line.published} ${line.published === 1 ? 'order' : 'orders'}`);
  }

  return {
    state: 'lost',
    totals,
    get last() {
      return last;
    },
    claimed(claim) {
      totals.claimed += claim.due.length + claim.redelivered.length;
      totals.redelivered += claim.redelivered.length;
      meter.count('orders_redelivered', claim.redelivered.length);
    },
    published(orders, publishedAt) {
      totals.published += orders.length;
      meter.count('orders_dispatched', orders.length);
      for (const { dueAt } of orders) {
        const late = publishedAt - dueAt;
        lateness.push(late);
        meter.observe('dispatch_lateness', late / 1000);
      }
      if (orders.length > 0) lineSoon();
    },
    failed(orders) {
      totals.failed += orders;
      lineSoon();
    },
    flush,
  };
}

/** Percentiles by nearest rank, in tenths of a millisecond; undefined for no values. */
export function percentiles(values: readonly number[]): Lateness | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (share: number) => Math.round((sorted[Math.ceil(share * sorted.length) - 1] ?? 0) * 10) / 10;
  return { p50: rank(0.5), p99: rank(0.99), max: rank(1) };
}

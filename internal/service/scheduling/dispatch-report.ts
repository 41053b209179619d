/** The dispatcher's report: a log line for each second in which it published orders or failed, and the same numbers for /scheduler. */
import type { Log, Meter } from '../ports.ts';
import type { Claim, DueQueue, ScheduleState, Waiting } from './ports.ts';

const LINE_EVERY_MS = 1_000;

/** Milliseconds from the due time of an order to its confirmation by the stream. */
export interface Lateness {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** The numbers of orders since the last line, and those of `waiting` and `lateMs` at its time. */
export interface DispatchLine {
  readonly claimed: number;
  readonly published: number;
  /** Claimed orders whose earlier claim was not acknowledged. */
  readonly redelivered: number;
  /** Claimed orders that could not be published within their leases; they become due again. */
  readonly failed: number;
  readonly waiting: number;
  readonly lateMs: Lateness | undefined;
}

export interface DispatchReport {
  state: ScheduleState;
  readonly totals: { claimed: number; published: number; redelivered: number; failed: number };
  /** The last line, and the time of its last claim in epoch ms, by Redis's clock. */
  readonly last: { readonly at: number; readonly line: DispatchLine } | undefined;
  claimed(claim: Claim): void;
  /** `publishedAt` is epoch ms by Redis's clock. */
  published(orders: readonly Waiting[], publishedAt: number): void;
  failed(orders: number): void;
  /** Logs the numbers since the last line at once. */
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
  let claimedAt = 0;
  let timer: NodeJS.Timeout | undefined;

  function scheduleLine(): void {
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
    last = { at: claimedAt, line: { ...line, waiting, lateMs } };
    log.info({ ...last.line }, `dispatched ${line.published} ${line.published === 1 ? 'order' : 'orders'}`);
  }

  return {
    state: 'lost',
    totals,
    get last() {
      return last;
    },
    claimed(claim) {
      claimedAt = claim.now;
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
      if (orders.length > 0) scheduleLine();
    },
    failed(orders) {
      totals.failed += orders;
      scheduleLine();
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

/** Caches the end of the event log in memory, so that the readers of a process share one query's result. */
import { setTimeout as pause } from 'node:timers/promises';
import { TiffinError } from '../../../domain/errors.ts';
import { BEGINNING, type LogPosition } from '../../../service/ports.ts';
import type { Delivery, LogFilter, LogPage } from '../../../service/stream/ports.ts';

/** The largest xid8 and the largest bigint. */
const END: LogPosition = { transactionId: '18446744073709551615', position: '9223372036854775807' };

/**
 * The least time between the starts of two queries, except after a full page. Under load each query then returns more
 * events, so consumers handle more of them in one transaction. After a pause the first event is read at once.
 */
export const PACE_MS = 20;
const PAGE = 2_000;
/** Size of the cache in characters of records; a reader further behind runs its own query. */
const KEPT = 4_000_000;

export interface Entry {
  readonly at: LogPosition;
  readonly eventType: string;
  /** Null if the record goes to the topics of its event type. */
  readonly topic: string | null;
  readonly delivery: Delivery;
  /** Size in characters. */
  readonly size: number;
}

/** The records after a position; `to` is the last of them if the page is full, else the end of the log. */
export interface Stretch {
  readonly entries: readonly Entry[];
  readonly to: LogPosition;
  readonly full: boolean;
  readonly held: boolean;
}

/** `fetch` returns the final part of the log between two positions, as `EventLog.read` guarantees. */
export type Fetch = (
  from: LogPosition,
  until: LogPosition,
  filter: LogFilter,
  limit: number,
) => Promise<Stretch>;

export function logTail(fetch: Fetch) {
  const wanted = { topics: new Set<string>(), types: new Set<string>() };
  let entries: Entry[] = [];
  let size = 0;
  /** `entries` has every wanted record after `start` up to `end`. */
  let start: LogPosition = BEGINNING;
  let end: LogPosition = BEGINNING;
  let restarts = 0;
  let held = false;
  let full = false;
  let underWay: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let mayBeginAt = 0;

  function restart(at: LogPosition): void {
    restarts += 1;
    entries = [];
    size = 0;
    start = at;
    end = at;
  }

  function widen({ topics, types }: LogFilter, at: LogPosition): void {
    const before = wanted.topics.size + wanted.types.size;
    for (const topic of topics) wanted.topics.add(topic);
    for (const type of types) wanted.types.add(type);
    if (wanted.topics.size + wanted.types.size > before) restart(at);
  }

  const ask: Fetch = async (from, ...rest) => {
    const stretch = await fetch(from, ...rest);
    assertOneServer(from, stretch.to);
    return stretch;
  };

  async function extend(): Promise<void> {
    const restartsBefore = restarts;
    const stretch = await ask(end, END, wanted, PAGE).catch((error) => {
      // What is cached may be of a server that is gone.
      restart(BEGINNING);
      throw error;
    });
    // A restart since then changed the position or widened the filter, so this result is stale.
    if (restarts !== restartsBefore) return extend();
    for (const entry of stretch.entries) {
      entries.push(entry);
      size += entry.size;
    }
    ({ held, full } = stretch);
    const { to } = stretch;
    end = compare(to, end) > 0 ? to : { ...end, server: to.server };
    if (full) mayBeginAt = 0;
    if (size > KEPT) forget();
  }

  /** Drops the older half of the cache, so that dropping is rare. */
  function forget(): void {
    let count = 0;
    for (; size > KEPT / 2; count++) size -= (entries[count] as Entry).size;
    start = (entries[count - 1] as Entry).at;
    entries = entries.slice(count);
  }

  /** Waits for a query that starts after this call: a running one may miss the event that woke the caller. */
  function refresh(): Promise<void> {
    next ??= (async () => {
      await underWay?.catch(() => {});
      const early = mayBeginAt - performance.now();
      if (early > 0) await pause(early);
      next = undefined;
      mayBeginAt = performance.now() + PACE_MS;
      underWay = extend();
      await underWay;
    })();
    return next;
  }

  /** The cached records after a position. */
  function pageAfter(from: LogPosition, filter: LogFilter, limit: number): LogPage {
    assertOneServer(from, end);
    const deliveries: Delivery[] = [];
    for (let n = firstAfter(entries, from); n < entries.length; n++) {
      const entry = entries[n] as Entry;
      if (!wants(filter, entry)) continue;
      deliveries.push(entry.delivery);
      if (deliveries.length === limit) return { deliveries, to: entry.at, full: true, held };
    }
    return { deliveries, to: compare(end, from) > 0 ? end : from, full, held };
  }

  async function pageBefore(upTo: LogPosition, from: LogPosition, filter: LogFilter, limit: number) {
    const { entries, to, full, held } = await ask(from, upTo, filter, limit);
    return { deliveries: entries.map(({ delivery }) => delivery), to: full ? to : upTo, full: true, held };
  }

  return {
    async read(from: LogPosition, filter: LogFilter, limit: number): Promise<LogPage> {
      widen(filter, from);
      // The tail follows the foremost reader; a reader behind the cache reads up to it by a query.
      if (!areOfOneServer(from, end) || compare(from, end) > 0) restart(from);
      if (compare(from, start) < 0) return pageBefore(start, from, filter, limit);
      const page = pageAfter(from, filter, limit);
      if (page.deliveries.length > 0) return page;
      await refresh();
      // The cache may have dropped these records in the meantime.
      if (compare(page.to, start) < 0) return pageBefore(start, page.to, filter, limit);
      return pageAfter(page.to, filter, limit);
    },
  };
}

function wants({ topics, types }: LogFilter, { topic, eventType }: Entry): boolean {
  return topic === null ? types.has(eventType) : topics.has(topic);
}

/** A position without a server may be used at any. */
function areOfOneServer(a: LogPosition, b: LogPosition): boolean {
  return a.server === undefined || b.server === undefined || a.server === b.server;
}

export function assertOneServer(a: LogPosition, b: LogPosition): void {
  if (!areOfOneServer(a, b))
    throw new TiffinError(
      'UNAVAILABLE',
      'the database is another server now; reading begins anew at the cursor',
    );
}

function compare(a: LogPosition, b: LogPosition): number {
  return compareDecimals(a.transactionId, b.transactionId) || compareDecimals(a.position, b.position);
}

/** Compares whole numbers without leading zeros. */
function compareDecimals(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : Number(a > b));
}

function firstAfter(entries: readonly Entry[], from: LogPosition): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare((entries[middle] as Entry).at, from) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The end of the event log in memory: the readers of a process that keep up share what one query has read. */
import { setTimeout as pause } from 'node:timers/promises';
import { BEGINNING, type LogPosition } from '../../../service/ports.ts';
import type { Delivery, LogFilter, LogPage } from '../../../service/stream/ports.ts';

/** The most that xid8 and bigint hold. */
const END: LogPosition = { transactionId: '18446744073709551615', position: '9223372036854775807' };

/**
 * Queries begin at least so far apart, but for full pages: under load each then brings more events, and the transactions
 * of those who handle them are shared by more. After a pause the first event is read at once.
 */
export const PACE_MS = 20;
const PAGE = 2_000;
/** What is kept for readers that are a little behind, in characters of records; a reader further behind asks for itself. */
const KEPT = 4_000_000;

export interface Entry {
  readonly at: LogPosition;
  readonly eventType: string;
  /** Null where the topics of its type are meant. */
  readonly topic: string | null;
  readonly delivery: Delivery;
  /** Characters. */
  readonly size: number;
}

/** What follows a position; `to` is the last record found where the page is full, else the last of the log, wanted or not. */
export interface Stretch {
  readonly entries: readonly Entry[];
  readonly to: LogPosition;
  readonly full: boolean;
  readonly held: boolean;
}

/** `fetch` returns all of the log that is final after one position, as `EventLog.read` promises it, up to another. */
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
  /** All that was wanted of the log after `start` up to `end` is in `entries`. */
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

  async function extend(): Promise<void> {
    const asked = restarts;
    const stretch = await fetch(end, END, wanted, PAGE);
    // From another place, or for less than what is wanted by now.
    if (asked !== restarts) return extend();
    for (const entry of stretch.entries) {
      entries.push(entry);
      size += entry.size;
    }
    ({ held, full } = stretch);
    if (compare(stretch.to, end) > 0) end = stretch.to;
    if (full) mayBeginAt = 0;
    if (size > KEPT) forget();
  }

  /** Half of it, so that this is seldom. */
  function forget(): void {
    let count = 0;
    for (; size > KEPT / 2; count++) size -= (entries[count] as Entry).size;
    start = (entries[count - 1] as Entry).at;
    entries = entries.slice(count);
  }

  /** A query that begins after this call: one under way may not see what the caller was woken for. */
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

  /** What is in memory after a position. */
  function pageAfter(from: LogPosition, filter: LogFilter, limit: number): LogPage {
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
    const { entries, to, full, held } = await fetch(from, upTo, filter, limit);
    return { deliveries: entries.map(({ delivery }) => delivery), to: full ? to : upTo, full: true, held };
  }

  return {
    async read(from: LogPosition, filter: LogFilter, limit: number): Promise<LogPage> {
      widen(filter, from);
      // The tail is where the foremost reader is; who is behind it reads up to it.
      if (compare(from, end) > 0) restart(from);
      if (compare(from, start) < 0) return pageBefore(start, from, filter, limit);
      const page = pageAfter(from, filter, limit);
      if (page.deliveries.length > 0) return page;
      await refresh();
      // What is in memory may have been forgotten meanwhile.
      if (compare(page.to, start) < 0) return pageBefore(start, page.to, filter, limit);
      return pageAfter(page.to, filter, limit);
    },
  };
}

function wants({ topics, types }: LogFilter, { topic, eventType }: Entry): boolean {
  return topic === null ? types.has(eventType) : topics.has(topic);
}

function compare(a: LogPosition, b: LogPosition): number {
  return compareDecimals(a.transactionId, b.transactionId) || compareDecimals(a.position, b.position);
}

/** Of whole numbers without leading zeros. */
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

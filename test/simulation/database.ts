/** A database in memory: tables, row locks, transactions that read what is committed, and an event log with a horizon. */
import { TiffinError } from '../../internal/domain/errors.ts';
import type { Event, EventType } from '../../internal/domain/events.ts';
import type { LogPosition, Transaction } from '../../internal/service/ports.ts';
import type { Delivery, LogFilter, LogPage } from '../../internal/service/stream/ports.ts';
import type { Process, Scheduler } from './scheduler.ts';

/** After this wait for a lock the transaction is given up, as after a deadlock. */
const LOCK_TIMEOUT_MS = 2_000;

export interface Table<R> {
  readonly name: string;
  readonly rows: Map<string, R>;
}

interface LogRow {
  readonly transactionId: number;
  readonly position: number;
  readonly event: Event;
  readonly delivery: Delivery;
}

/** An open transaction: what it wrote and locked. */
export interface Session {
  readonly owner: Process;
  readonly writes: Map<Table<unknown>, Map<string, unknown>>;
  readonly events: LogRow[];
  readonly locks: Set<string>;
  readonly startedAt: number;
  transactionId?: number;
  isOpen: boolean;
}

export interface Database {
  readonly table: <R>(name: string) => Table<R>;
  readonly begin: () => Session;
  readonly commit: (session: Session) => void;
  readonly abort: (session: Session) => void;
  /** Waits for the rows, in the order of their names. */
  readonly lock: (
    session: Session,
    table: { readonly name: string },
    keys: readonly string[],
  ) => Promise<void>;
  /** What the transaction sees now; without one, what is committed. */
  readonly get: <R>(table: Table<R>, key: string, session?: Session) => R | undefined;
  readonly all: <R>(table: Table<R>, session?: Session) => R[];
  readonly put: <R>(session: Session, table: Table<R>, key: string, row: R) => void;
  readonly remove: <R>(session: Session, table: Table<R>, key: string) => void;
  readonly append: (session: Session, events: readonly Event[]) => void;
  readonly readLog: (from: LogPosition, filter: LogFilter, limit: number) => LogPage;
  /** The committed events, in the order of their positions. */
  readonly events: () => readonly Event[];
  /** Called before the writes of each commit; what it returns is called after them. */
  readonly aroundCommits: (watch: (session: Session) => () => void) => void;
  /** Called after each commit that appended events. */
  readonly onAppend: (listener: () => void) => () => void;
}

const sessions = new WeakMap<Transaction, Session>();

export function bind(tx: Transaction, session: Session): Transaction {
  sessions.set(tx, session);
  return tx;
}

export function sessionOf(tx: Transaction): Session {
  const session = sessions.get(tx);
  if (!session?.isOpen) throw new Error('the transaction has ended');
  return session;
}

/** `horizon`: readers of the log stop below the oldest open transaction. Events of the type `silent` are dropped. */
export function database(
  simulation: Scheduler,
  { horizon = true, silent }: { readonly horizon?: boolean; readonly silent?: EventType | undefined } = {},
): Database {
  const tables = new Map<string, Table<unknown>>();
  const open = new Set<Session>();
  const holders = new Map<string, Session>();
  const waiters: { name: string; session: Session; grant: () => void }[] = [];
  const listeners = new Set<() => void>();
  let watchCommit: (session: Session) => () => void = () => () => {};
  let log: LogRow[] = [];
  let lastTransaction = 0;
  let lastPosition = 0;

  simulation.onCrash((process) => {
    for (const session of [...open]) if (session.owner === process) end(session);
  });

  function idOf(session: Session): number {
    if (session.transactionId === undefined) {
      lastTransaction += 1;
      session.transactionId = lastTransaction;
    }
    return session.transactionId;
  }

  function end(session: Session): void {
    session.isOpen = false;
    open.delete(session);
    for (const name of session.locks) holders.delete(name);
    for (const waiter of [...waiters]) {
      if (!waiter.session.isOpen) waiters.splice(waiters.indexOf(waiter), 1);
      else if (!holders.has(waiter.name)) {
        waiters.splice(waiters.indexOf(waiter), 1);
        holders.set(waiter.name, waiter.session);
        waiter.session.locks.add(waiter.name);
        simulation.later(waiter.session.owner, 0, waiter.grant);
      }
    }
    if (session.events.length > 0 || session.transactionId !== undefined)
      for (const listener of [...listeners]) listener();
  }

  async function lockOne(session: Session, name: string): Promise<void> {
    // The rest of a turn in which the process died.
    if (!session.isOpen) return new Promise(() => {});
    const holder = holders.get(name);
    if (holder === session) return;
    if (!holder) {
      holders.set(name, session);
      session.locks.add(name);
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const waiter = { name, session, grant: resolve };
      waiters.push(waiter);
      simulation.later(session.owner, LOCK_TIMEOUT_MS, () => {
        if (!waiters.includes(waiter)) return;
        waiters.splice(waiters.indexOf(waiter), 1);
        reject(new TiffinError('UNAVAILABLE', `the transaction waited for ${name} for too long`));
      });
    });
  }

  function all<R>(table: Table<R>, session?: Session): R[] {
    const writes = session?.writes.get(table as Table<unknown>);
    if (!writes) return [...table.rows.values()];
    const merged = new Map<string, R | undefined>(table.rows);
    for (const [key, row] of writes) merged.set(key, row as R | undefined);
    return [...merged.values()].filter((row) => row !== undefined) as R[];
  }

  function write(session: Session, table: Table<unknown>, key: string, row: unknown): void {
    idOf(session);
    const writes = session.writes.get(table) ?? new Map();
    session.writes.set(table, writes.set(key, row));
  }

  return {
    table<R>(name: string) {
      const table = (tables.get(name) ?? { name, rows: new Map() }) as Table<R>;
      tables.set(name, table as Table<unknown>);
      return table;
    },
    begin() {
      const session: Session = {
        owner: simulation.current(),
        writes: new Map(),
        events: [],
        locks: new Set(),
        startedAt: simulation.now(),
        isOpen: true,
      };
      open.add(session);
      return session;
    },
    commit(session) {
      const written = watchCommit(session);
      for (const [table, writes] of session.writes)
        for (const [key, row] of writes)
          if (row === undefined) table.rows.delete(key);
          else table.rows.set(key, row);
      log.push(...session.events);
      log = log.sort(byPlace(horizon));
      written();
      end(session);
    },
    abort: end,
    async lock(session, table, keys) {
      for (const key of [...new Set(keys)].sort()) await lockOne(session, `${table.name}/${key}`);
    },
    get(table, key, session) {
      const writes = session?.writes.get(table as Table<unknown>);
      return (writes?.has(key) ? writes.get(key) : table.rows.get(key)) as never;
    },
    all,
    put: (session, table, key, row) => write(session, table as Table<unknown>, key, row),
    remove: (session, table, key) => write(session, table as Table<unknown>, key, undefined),
    append(session, events) {
      for (const event of events) {
        if (event.eventType === silent) continue;
        lastPosition += 1;
        const delivery = deliveryOf(event, lastPosition);
        session.events.push({ transactionId: idOf(session), position: lastPosition, event, delivery });
      }
    },
    readLog(from, filter, limit) {
      const start = { transactionId: Number(from.transactionId), position: Number(from.position) };
      const ids = [...open].flatMap(({ transactionId }) => transactionId ?? []);
      const below = horizon ? Math.min(lastTransaction + 1, ...ids) : Number.POSITIVE_INFINITY;
      const compare = byPlace(horizon);
      const deliveries: Delivery[] = [];
      let to = from;
      for (const row of log) {
        if (compare(row, start) <= 0 || row.transactionId >= below) continue;
        if (filter.types.has(row.event.eventType)) deliveries.push(row.delivery);
        to = { transactionId: String(row.transactionId), position: String(row.position) };
        if (deliveries.length === limit) break;
      }
      const held = ids.length > 0 && horizon;
      return { deliveries, to, full: deliveries.length === limit, held };
    },
    events: () => log.map(({ event }) => event),
    aroundCommits(watch) {
      watchCommit = watch;
    },
    onAppend(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

type Place = Pick<LogRow, 'transactionId' | 'position'>;

function byPlace(horizon: boolean): (a: Place, b: Place) => number {
  return (a, b) => (horizon ? a.transactionId - b.transactionId : 0) || a.position - b.position;
}

/** Parsed once, and shared by all consumers, as the readers of one process share the end of the log. */
function deliveryOf(event: Event, position: number): Delivery {
  const record = JSON.parse(JSON.stringify(event));
  return { topic: event.eventType, key: event.orderId, position: String(position), record };
}

/** A database in memory: tables, row locks, transactions that read what is committed, and an event log with a horizon. */
import type { LogPosition, Transaction } from '../../internal/service/ports.ts';
import type { LogFilter, LogPage } from '../../internal/service/stream/ports.ts';
import { eventTable, type LogEntry, type LogRow } from './event-table.ts';
import { rowLocks } from './row-locks.ts';
import type { Process, Scheduler } from './scheduler.ts';

export interface Table<R> {
  readonly name: string;
  readonly rows: Map<string, R>;
}

/** An open transaction: what it wrote and locked. */
export interface Session {
  readonly owner: Process;
  /** The life of its owner in which it was begun. */
  readonly life: number;
  readonly writes: Map<Table<unknown>, Map<string, unknown>>;
  readonly events: LogRow[];
  readonly locks: Set<string>;
  /** Given out with the first row that the transaction locks or writes, as by Postgres. */
  transactionId?: number;
  isOpen: boolean;
  /** One of its statements failed, so it can only be rolled back. */
  hasFailed: boolean;
}

export interface Database {
  readonly table: <R>(name: string) => Table<R>;
  readonly begin: () => Session;
  /** Throws if a statement of the transaction has failed. */
  readonly commit: (session: Session) => void;
  readonly abort: (session: Session) => void;
  /** One statement of a transaction, or one by itself, on its way to the server and back. */
  readonly statement: <T>(
    session: Session | undefined,
    name: string,
    effect: () => T | Promise<T>,
  ) => Promise<T>;
  /** SELECT … FOR UPDATE: locks those of the rows that are there, in the order of their keys, and reads them. */
  readonly lockRows: <R>(session: Session, table: Table<R>, keys: readonly string[]) => Promise<R[]>;
  /** INSERT … ON CONFLICT DO NOTHING: false if there is such a row. */
  readonly insert: <R>(session: Session, table: Table<R>, key: string, row: R) => Promise<boolean>;
  /** INSERT … ON CONFLICT DO UPDATE: locks the row and replaces it; it stays as it is if `next` returns undefined. */
  readonly write: <R>(
    session: Session,
    table: Table<R>,
    key: string,
    next: (row: R | undefined) => R | undefined,
  ) => Promise<void>;
  /** UPDATE: does nothing if there is no such row. */
  readonly update: <R>(session: Session, table: Table<R>, key: string, next: (row: R) => R) => Promise<void>;
  readonly remove: <R>(session: Session, table: Table<R>, key: string) => Promise<void>;
  /** What the transaction sees now; without one, what is committed. */
  readonly get: <R>(table: Table<R>, key: string, session?: Session) => R | undefined;
  readonly all: <R>(table: Table<R>, session?: Session) => R[];
  readonly append: (session: Session, entries: readonly LogEntry[]) => void;
  readonly readLog: (from: LogPosition, filter: LogFilter, limit: number) => LogPage;
  /** The committed records that were appended, in the order of the log. */
  readonly log: () => readonly LogRow[];
  /** Called before the writes of each commit; what it returns is called after them. */
  readonly aroundCommits: (watch: (session: Session) => () => void) => void;
  /** Called after each transaction that appended events or held others back. */
  readonly onAppend: (listener: () => void) => () => void;
}

export interface SimulatedTransaction extends Transaction {
  readonly session: Session;
}

export function sessionOf(tx: Transaction): Session {
  return (tx as SimulatedTransaction).session;
}

/** `horizon`: readers of the log stop below the oldest open transaction. */
export function database(simulation: Scheduler, { horizon = true } = {}): Database {
  const tables = new Map<string, Table<unknown>>();
  const open = new Set<Session>();
  const locks = rowLocks(simulation);
  const events = eventTable({ horizon });
  const listeners = new Set<() => void>();
  let watchCommit: (session: Session) => () => void = () => () => {};
  let lastTransaction = 0;

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
    locks.releaseAll(session);
    const { transactionId } = session;
    const last = events.rows().at(-1);
    // It appended, or it held back what others had appended.
    const held = transactionId !== undefined && last !== undefined && last.transactionId >= transactionId;
    if (session.events.length > 0 || held) for (const listener of [...listeners]) listener();
  }

  function get<R>(table: Table<R>, key: string, session?: Session): R | undefined {
    const writes = session?.writes.get(table as Table<unknown>);
    return (writes?.has(key) ? writes.get(key) : table.rows.get(key)) as R | undefined;
  }

  function all<R>(table: Table<R>, session?: Session): R[] {
    const writes = session?.writes.get(table as Table<unknown>);
    if (!writes) return [...table.rows.values()];
    const merged = new Map<string, R | undefined>(table.rows);
    for (const [key, row] of writes) merged.set(key, row as R | undefined);
    return [...merged.values()].filter((row) => row !== undefined) as R[];
  }

  async function lock(session: Session, table: { readonly name: string }, key: string): Promise<void> {
    await locks.take(session, `${table.name}/${key}`);
    idOf(session);
  }

  function put(session: Session, table: Table<unknown>, key: string, row: unknown): void {
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
      const owner = simulation.current();
      const empty = { writes: new Map(), events: [], locks: new Set<string>() };
      const session: Session = { owner, life: owner.life, ...empty, isOpen: true, hasFailed: false };
      open.add(session);
      return session;
    },
    commit(session) {
      if (session.hasFailed) throw new Error('a statement failed, and nothing was committed');
      const written = watchCommit(session);
      for (const [table, writes] of session.writes)
        for (const [key, row] of writes)
          if (row === undefined) table.rows.delete(key);
          else table.rows.set(key, row);
      events.add(session.events);
      written();
      end(session);
    },
    abort: end,
    async statement(session, name, effect) {
      if (!session) return simulation.call(name, effect);
      // The rest of a turn in which the process died.
      if (session.owner.life !== session.life) return new Promise(() => {});
      if (!session.isOpen || session.hasFailed)
        throw new Error(`${name}: the transaction has ended or failed`);
      try {
        return await simulation.call(name, effect);
      } catch (error) {
        session.hasFailed = true;
        throw error;
      }
    },
    async lockRows<R>(session: Session, table: Table<R>, keys: readonly string[]) {
      const present = [...new Set(keys)].filter((key) => get(table, key, session) !== undefined).sort();
      for (const key of present) await lock(session, table, key);
      return present.flatMap((key) => get(table, key, session) ?? []);
    },
    async insert(session, table, key, row) {
      if (get(table, key, session) !== undefined) return false;
      await lock(session, table, key);
      if (get(table, key, session) !== undefined) {
        locks.release(session, `${table.name}/${key}`);
        return false;
      }
      put(session, table as Table<unknown>, key, row);
      return true;
    },
    async write(session, table, key, next) {
      await lock(session, table, key);
      const row = next(get(table, key, session));
      if (row !== undefined) put(session, table as Table<unknown>, key, row);
    },
    async update(session, table, key, next) {
      if (get(table, key, session) === undefined) return;
      await lock(session, table, key);
      const row = get(table, key, session);
      if (row !== undefined) put(session, table as Table<unknown>, key, next(row));
    },
    async remove(session, table, key) {
      if (get(table, key, session) === undefined) return;
      await lock(session, table, key);
      put(session, table as Table<unknown>, key, undefined);
    },
    get,
    all,
    append(session, entries) {
      for (const entry of entries) session.events.push(events.number(idOf(session), entry));
    },
    readLog(from, filter, limit) {
      let below = lastTransaction + 1;
      for (const { transactionId = below } of open) below = Math.min(below, transactionId);
      return events.read(from, filter, limit, below);
    },
    log: events.rows,
    aroundCommits(watch) {
      watchCommit = watch;
    },
    onAppend(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

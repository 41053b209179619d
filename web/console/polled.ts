/** What a view shows, read again every few seconds while someone can see it, and its rows, which keep their places. */
import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Fault } from '../faults.ts';
import type { Outcome } from '../server.ts';

const EVERY_MS = 3_000;

export interface Polled<Data> {
  /** What was read last; it stays while the server is out of reach. */
  readonly data?: Data;
  readonly faults: readonly Fault[];
  /** Reads at once. */
  readonly reload: () => void;
}

/** Another `key` begins anew. Stops in a hidden tab, and when a token is needed. */
export function usePolled<Data>(key: string, read: () => Promise<Outcome<Data>>): Polled<Data> {
  const [shown, show] = useState<Outcome<Data> & { key: string }>({ key, faults: [] });
  const reload = useRef(() => {});
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let latest = 0;
    async function tick(): Promise<void> {
      clearTimeout(timer);
      if (document.hidden) return;
      latest += 1;
      const own = latest;
      const { data, faults } = await read();
      // A later read, or another view, has taken over.
      if (own !== latest) return;
      show((last) => {
        const kept = data ?? (last.key === key && faults[0]?.status === undefined ? last.data : undefined);
        return { key, faults, ...(kept === undefined ? {} : { data: kept }) };
      });
      if (faults[0]?.code !== 'UNAUTHENTICATED') timer = setTimeout(tick, EVERY_MS);
    }
    const wake = () => void tick();
    reload.current = wake;
    document.addEventListener('visibilitychange', wake);
    wake();
    return () => {
      latest += 1;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', wake);
    };
  }, [key]);
  const isCurrent = shown.key === key;
  return {
    faults: isCurrent ? shown.faults : [],
    ...(isCurrent && shown.data !== undefined ? { data: shown.data } : {}),
    reload: () => reload.current(),
  };
}

export interface Steady<Row> {
  readonly key: string;
  readonly row: Row;
  /** It is no longer there, and is shown so that nothing else takes its place under the pointer. */
  readonly isGone: boolean;
}

/** The rows; while the pointer or the focus is in `table`, those that were shown keep their places. */
export function useSteady<Row>(
  table: RefObject<HTMLElement | null>,
  rows: readonly Row[],
  keyOf: (row: Row) => string,
): readonly Steady<Row>[] {
  const seen = useRef(new Map<string, Row>());
  if (!table.current?.matches(':hover, :focus-within')) seen.current = new Map();
  const keys = new Set(rows.map(keyOf));
  for (const row of rows) seen.current.set(keyOf(row), row);
  return [...seen.current].map(([key, row]) => ({ key, row, isGone: !keys.has(key) }));
}

/** Watches transactions: one that changes what a view shows must append an event that the views read. */
import { isDeepStrictEqual } from 'node:util';
import type { OrderId } from '../../internal/domain/order.ts';
import type { OrderView } from '../../internal/service/views/ports.ts';
import { type ViewDeps, viewsConsumer } from '../../internal/service/views/project-views.ts';
import type { Database } from './database.ts';

/** The tables that views are made of; their keys are order ids. */
const TABLES: ReadonlySet<string> = new Set(['orders', 'payments', 'reservations', 'deliveries']);

/** A view that stays outdated at the end of a run is rare, since most orders have later events; a silent change is not. */
export function watchViews(
  db: Database,
  viewOf: (id: OrderId) => readonly OrderView[],
  report: (fault: string) => void,
): void {
  const types: ReadonlySet<string> = new Set(viewsConsumer({} as ViewDeps).types);
  db.aroundCommits(({ writes, events }) => {
    const written = [...writes].flatMap(([{ name }, rows]) => (TABLES.has(name) ? [...rows.keys()] : []));
    const announced = new Set(
      events.flatMap(({ topic, type, key }) => (topic === undefined && types.has(type) ? [key] : [])),
    );
    const silent = [...new Set(written as OrderId[])].filter((id) => !announced.has(id));
    const before = silent.map((id) => shownIn(viewOf(id)));
    return () => {
      for (const [n, id] of silent.entries())
        if (!isDeepStrictEqual(before[n], shownIn(viewOf(id))))
          report(`the view of order ${id} changed without an event`);
    };
  });
}

/** The revision orders views, and is no part of what they show. */
function shownIn([view]: readonly OrderView[]) {
  return view && { ...view, revision: undefined };
}

/** A store with one row for each order, on the simulated database. */
import type { OrderId } from '../../internal/domain/order.ts';
import type { Transaction } from '../../internal/service/ports.ts';
import { type Database, sessionOf, type Table } from './database.ts';
import type { Scheduler } from './scheduler.ts';

type OfOrder = { readonly orderId: OrderId };

/** `fixed` are the fields that a stored row keeps when it is saved again. */
export function rowsOfOrders<R extends OfOrder>(
  { call }: Scheduler,
  db: Database,
  table: Table<R>,
  fixed: readonly (keyof R)[],
) {
  function changed(row: R | undefined, saved: R): R {
    if (!row) return saved;
    const next: Partial<R> = { ...saved };
    for (const field of fixed)
      if (row[field] === undefined) delete next[field];
      else next[field] = row[field];
    return next as R;
  }

  return {
    find: (ids: readonly OrderId[]) =>
      call(`find ${table.name}`, () => byOrder(ids.flatMap((id) => db.get(table, id) ?? []))),
    lock(tx: Transaction, ids: readonly OrderId[]) {
      const session = sessionOf(tx);
      return db.statement(session, `lock ${table.name}`, async () =>
        byOrder(await db.lockRows(session, table, ids)),
      );
    },
    async save(tx: Transaction, rows: readonly R[]) {
      if (rows.length === 0) return;
      const session = sessionOf(tx);
      await db.statement(session, `save ${table.name}`, async () => {
        for (const row of [...rows].sort((a, b) => (a.orderId < b.orderId ? -1 : 1)))
          await db.write(session, table, row.orderId, (stored) => changed(stored, row));
      });
    },
  };
}

function byOrder<R extends OfOrder>(rows: readonly R[]): Map<OrderId, R> {
  return new Map(rows.map((row) => [row.orderId, row]));
}

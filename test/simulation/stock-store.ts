/** The port of stock and reservations, on the simulated database. */
import { addUp, allot, ranLow } from '../../internal/domain/inventory.ts';
import type { OrderId } from '../../internal/domain/order.ts';
import type { Inventory, Lines, ReservationOutcome } from '../../internal/service/inventory/ports.ts';
import { type Database, type Session, sessionOf } from './database.ts';

export interface Reservation {
  readonly orderId: OrderId;
  readonly state: 'reserved' | 'released' | 'rejected';
  readonly lines: Lines;
}

export interface Shelf {
  readonly itemId: string;
  readonly stockCount: number;
  readonly threshold: number;
}

export function stockStore(db: Database) {
  const stock = db.table<Shelf>('stock');
  const reservations = db.table<Reservation>('reservations');

  function count(session: Session, itemId: string, change: (count: number) => number): Promise<void> {
    return db.update(session, stock, itemId, (row) => {
      const stockCount = change(row.stockCount);
      if (stockCount < 0) throw new Error('a check constraint refuses a negative stock');
      return { ...row, stockCount };
    });
  }

  const inventory: Inventory = {
    async reserve(tx, requests) {
      const session = sessionOf(tx);
      if (requests.length === 0) return { outcomes: [], low: [] };
      const statement = <T>(name: string, effect: () => T | Promise<T>) =>
        db.statement(session, name, effect);
      const fresh = await statement('find reservations', () => {
        const known = new Set<OrderId>();
        return requests.filter(({ orderId }) => {
          const isFirst = !known.has(orderId) && !db.get(reservations, orderId, session);
          known.add(orderId);
          return isFirst;
        });
      });
      if (fresh.length === 0) return { outcomes: [], low: [] };
      const items = fresh.flatMap(({ lines }) => lines.map(({ itemId }) => itemId));
      const shelves = await statement('lock stock', () => db.lockRows(session, stock, items));
      const { shortages, left } = allot(
        new Map(shelves.map(({ itemId, stockCount }) => [itemId, stockCount])),
        fresh.map(({ lines }) => lines),
      );
      const outcomes = fresh.map(({ orderId, lines }, n): ReservationOutcome => {
        const missing = shortages[n] ?? [];
        return missing.length > 0
          ? { orderId, outcome: 'rejected', missing }
          : { orderId, outcome: 'reserved', lines: addUp(lines) };
      });
      await statement('reserve', async () => {
        for (const [itemId, rest] of left) await count(session, itemId, () => rest);
        for (const outcome of outcomes) {
          const { orderId, outcome: state } = outcome;
          const row = { orderId, state, lines: outcome.outcome === 'reserved' ? outcome.lines : [] };
          if (!(await db.insert(session, reservations, orderId, row)))
            throw new Error(`a constraint refuses a second reservation of ${orderId}`);
        }
      });
      const taken = outcomes.filter((asked) => asked.outcome === 'reserved');
      return { outcomes, low: ranLow(shelves, left, taken) };
    },
    release(tx, orderIds) {
      const session = sessionOf(tx);
      return db.statement(session, 'release', async () => {
        const reserved = orderIds.filter((id) => db.get(reservations, id, session)?.state === 'reserved');
        const rows = await db.lockRows(session, reservations, reserved);
        const held = rows.filter(({ state }) => state === 'reserved');
        for (const row of held)
          await db.update(session, reservations, row.orderId, () => ({ ...row, state: 'released' }));
        const back = addUp(held.flatMap(({ lines }) => lines));
        for (const { itemId, quantity } of back.sort((a, b) => (a.itemId < b.itemId ? -1 : 1)))
          await count(session, itemId, (before) => before + quantity);
        return held.map(({ orderId, lines }) => ({ orderId, lines }));
      });
    },
  };

  return {
    inventory,
    /** For a broken inventory: adds stock that nobody had reserved. */
    addTo: (session: Session, itemId: string, quantity: number) =>
      count(session, itemId, (before) => before + quantity),
    reservationOf: (id: OrderId) => db.get(reservations, id),
    reservations: () => db.all(reservations),
    shelves: () => db.all(stock),
    fill(shelf: Shelf) {
      stock.rows.set(shelf.itemId, shelf);
    },
  };
}

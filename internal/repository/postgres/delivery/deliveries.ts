/** Stores deliveries in Postgres: one row for each order that a rider delivers. */
import { and, eq, getTableColumns, inArray } from 'drizzle-orm';
import type pg from 'pg';
import type { Delivery } from '../../../domain/delivery.ts';
import type { OrderId } from '../../../domain/order.ts';
import type { Deliveries } from '../../../service/delivery/ports.ts';
import { bulkInsert } from '../bulk-parameters.ts';
import { clientOf } from '../database.ts';
import { attempt, isAnyOf, on, prepared } from '../queries.ts';
import { deliveries } from '../schema/delivery.ts';

type DeliveryRow = typeof deliveries.$inferSelect;

const columns = getTableColumns(deliveries);
const { orderId, state, riderId, holdsPlace, attempts, readyAt, assignedAt, pickedUpAt, deliveredAt } =
  columns;
const { eta, etaP90, etaAt, etaChange } = columns;

const find = prepared('find-deliveries', (db) => db.select().from(deliveries).where(isAnyOf(orderId, 'ids')));
const lock = prepared('lock-deliveries', (db) =>
  db.select().from(deliveries).where(isAnyOf(orderId, 'ids')).orderBy(orderId).for('update'),
);
// Of the columns of the delivery request, only the time at which the kitchen is ready changes.
const save = bulkInsert('save-deliveries', deliveries, columns, {
  target: [orderId],
  update: [
    state,
    riderId,
    holdsPlace,
    attempts,
    readyAt,
    assignedAt,
    pickedUpAt,
    deliveredAt,
    eta,
    etaP90,
    etaAt,
    etaChange,
  ],
});

export function postgresDeliveries(pool: pg.Pool): Deliveries {
  return {
    find: async (ids) => byOrder(await find(pool, { ids })),
    lock: async (tx, ids) => byOrder(await lock(clientOf(tx), { ids })),
    save: (tx, saved) => save(clientOf(tx), saved.map(toRow)),
    async ofRider(rider) {
      const isCarried = and(eq(riderId, rider), inArray(state, ['ASSIGNED', 'PICKED_UP']));
      const rows = on(pool).select().from(deliveries).where(isCarried).orderBy(orderId);
      return (await attempt(rows)).map(toDelivery);
    },
  };
}

function byOrder(rows: readonly DeliveryRow[]): Map<OrderId, Delivery> {
  return new Map(rows.map((row) => [row.orderId, toDelivery(row)]));
}

function toDelivery(row: DeliveryRow): Delivery {
  const eta = toEta(row);
  return {
    orderId: row.orderId,
    state: row.state,
    ...(row.riderId === null ? {} : { riderId: row.riderId }),
    ...(row.holdsPlace ? { holdsPlace: true } : {}),
    ...(row.restaurantId === null ? {} : { restaurantId: row.restaurantId }),
    ...(row.pickupAddress === null ? {} : { pickupAddress: row.pickupAddress }),
    ...(row.pickup === null ? {} : { pickup: row.pickup }),
    ...(row.dropoff === null ? {} : { dropoff: row.dropoff }),
    attempts: row.attempts,
    requestedAt: row.requestedAt,
    ...(row.readyAt === null ? {} : { readyAt: row.readyAt }),
    ...(row.assignedAt === null ? {} : { assignedAt: row.assignedAt }),
    ...(row.pickedUpAt === null ? {} : { pickedUpAt: row.pickedUpAt }),
    ...(row.deliveredAt === null ? {} : { deliveredAt: row.deliveredAt }),
    ...(eta ? { eta } : {}),
  };
}

/** The columns of an ETA are all set or all null, but that an ETA of an earlier version has no change. */
export function toEta(row: Pick<DeliveryRow, 'eta' | 'etaP90' | 'etaAt' | 'etaChange'>): Delivery['eta'] {
  const { eta: median, etaP90: p90, etaAt: computedAt, etaChange: change } = row;
  if (median === null || p90 === null || computedAt === null) return undefined;
  return { median, p90, computedAt, ...(change ? { change } : {}) };
}

function toRow({ eta, holdsPlace, ...delivery }: Delivery) {
  return {
    ...delivery,
    holdsPlace: holdsPlace ?? false,
    eta: eta?.median,
    etaP90: eta?.p90,
    etaAt: eta?.computedAt,
    etaChange: eta?.change,
  };
}

/** The ports of riders and deliveries, on the simulated database. */
import type { Delivery, Place, Rider } from '../../internal/domain/delivery.ts';
import { isUnderWay } from '../../internal/domain/delivery.ts';
import type { Deliveries, Riders } from '../../internal/service/delivery/ports.ts';
import { type Database, type Session, sessionOf } from './database.ts';
import { rowsOfOrders } from './rows-of-orders.ts';
import type { Scheduler } from './scheduler.ts';

type RiderRow = Rider & { readonly movedAt: number };

export function deliveryStores(simulation: Scheduler, db: Database) {
  const { call } = simulation;
  const table = db.table<RiderRow>('riders');
  const deliveries = db.table<Delivery>('deliveries');
  const toRider = ({ movedAt, ...rider }: RiderRow): Rider => ({
    ...rider,
    ...(rider.place ? { placeAt: movedAt } : {}),
  });
  const isFree = ({ isOnDuty, carrying, capacity }: Rider) => isOnDuty && carrying < capacity;

  function carry(session: Session, id: string, by: number): Promise<void> {
    return db.update(session, table, id, (rider) => {
      const carrying = rider.carrying + by;
      if (carrying < 0) throw new Error('a check constraint refuses a rider who carries fewer than none');
      return { ...rider, carrying };
    });
  }

  /** One statement in a transaction of its own. */
  function alone<T>(name: string, effect: (session: Session) => Promise<T>): Promise<T> {
    return call(name, async () => {
      const session = db.begin();
      try {
        const result = await effect(session);
        db.commit(session);
        return result;
      } finally {
        if (session.isOpen) db.abort(session);
      }
    });
  }

  const riders: Riders = {
    find: (ids, tx) => {
      const session = tx && sessionOf(tx);
      return db.statement(session, 'find riders', () =>
        [...new Set(ids)].sort().flatMap((id) => {
          const row = db.get(table, id, session);
          return row ? [toRider(row)] : [];
        }),
      );
    },
    free(tx, pickups, limit) {
      const session = sessionOf(tx);
      return db.statement(session, 'free riders', () => {
        const free = db.all(table, session).filter(isFree);
        const known = free.filter(({ place }) => place);
        const anywhere = pickups.includes(undefined);
        const found = new Set(
          free
            .filter(({ place }) => anywhere || !place)
            .sort((a, b) => a.carrying - b.carrying || (a.id < b.id ? -1 : 1))
            .slice(0, limit),
        );
        for (const pickup of pickups)
          if (pickup)
            for (const rider of known
              .sort((a, b) => degrees(a.place, pickup) - degrees(b.place, pickup))
              .slice(0, limit))
              found.add(rider);
        return [...found].sort((a, b) => (a.id < b.id ? -1 : 1)).map(toRider);
      });
    },
    put: (rider, at) =>
      alone('put rider', async (session) => {
        let stored: RiderRow = { ...rider, carrying: 0, movedAt: at };
        await db.write(session, table, rider.id, (row) => {
          if (row) stored = { ...row, ...rider, movedAt: rider.place ? at : row.movedAt };
          return stored;
        });
        return toRider(stored);
      }),
    move(id, place, at, tx) {
      const moved = async (session: Session) => {
        const [row] = await db.lockRows(session, table, [id]);
        if (row && !(row.place && row.movedAt > at))
          await db.update(session, table, id, (rider) => ({ ...rider, place, movedAt: at }));
        return row !== undefined;
      };
      if (!tx) return alone('move rider', moved);
      const session = sessionOf(tx);
      return db.statement(session, 'move rider', () => moved(session));
    },
    async take(tx, wanted, { regardless } = { regardless: false }) {
      const taken = new Map<string, number>();
      if (wanted.size === 0) return taken;
      const session = sessionOf(tx);
      return db.statement(session, 'take riders', async () => {
        const asked = [...wanted.keys()].filter((id) => {
          const rider = db.get(table, id, session);
          return rider && (regardless || isFree(rider));
        });
        for (const rider of await db.lockRows(session, table, asked)) {
          if (!(regardless || isFree(rider))) continue;
          const count = wanted.get(rider.id) ?? 0;
          const places = regardless ? count : Math.min(count, rider.capacity - rider.carrying);
          taken.set(rider.id, places);
          await carry(session, rider.id, places);
        }
        return taken;
      });
    },
    async release(tx, ids) {
      if (ids.length === 0) return;
      const session = sessionOf(tx);
      await db.statement(session, 'release riders', async () => {
        for (const id of [...ids].sort()) await carry(session, id, -1);
      });
    },
  };

  const store: Deliveries = {
    ...rowsOfOrders(simulation, db, deliveries, [
      'restaurantId',
      'pickupAddress',
      'pickup',
      'dropoff',
      'requestedAt',
      'readyAt',
    ]),
    ofRider: (riderId) =>
      call('deliveries of rider', () =>
        db
          .all(deliveries)
          .filter((delivery) => delivery.riderId === riderId && isUnderWay(delivery))
          .sort((a, b) => (a.orderId < b.orderId ? -1 : 1)),
      ),
  };

  return {
    riders,
    deliveries: store,
    deliveryOf: (id: string) => db.get(deliveries, id),
    deliveriesNow: () => db.all(deliveries),
    ridersNow: () => db.all(table).map(toRider),
    hire(rider: Rider) {
      table.rows.set(rider.id, { ...rider, movedAt: 0 });
    },
  };
}

function degrees(place: Place | undefined, [latitude, longitude]: Place): number {
  return place ? Math.hypot(place[0] - latitude, place[1] - longitude) : Number.POSITIVE_INFINITY;
}

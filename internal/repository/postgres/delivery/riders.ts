/** Stores riders in Postgres: their position, and how many orders they carry. */
import { eq, getTableColumns, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { Rider } from '../../../domain/delivery.ts';
import type { Riders } from '../../../service/delivery/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { clientOf } from '../database.ts';
import { attempt, isAnyOf, namesOf, on, prepared, statement } from '../queries.ts';
import { riders } from '../schema/delivery.ts';

const columns = getTableColumns(riders);
const { riderId, isOnDuty, latitude, longitude, carrying, capacity, movedAt } = columns;
type RiderRow = typeof riders.$inferSelect;

const find = prepared('find-riders', (db) =>
  db.select(columns).from(riders).where(isAnyOf(riderId, 'ids')).orderBy(riderId),
);

const isFree = sql`${isOnDuty} and ${carrying} < ${capacity}`;
// By hand: finds the nearest riders for many pickups through the index riders_free, one index range for each pickup. Input:
// latitudes, longitudes, whether some pickups have no known position, a limit. Output: ids of free riders: up to the limit
// nearest to each pickup, and up to the limit without regard to position, where a rider's or a pickup's is unknown.
const free = statement<{ rider_id: string }>(
  'free-riders',
  sql`
    select near.${namesOf([riderId])}
    from unnest(${sql.placeholder('latitudes')}::float8[], ${sql.placeholder('longitudes')}::float8[]) as pickup(latitude, longitude)
    cross join lateral (
      select ${riderId} from ${riders} where ${isFree} and ${latitude} is not null
      order by point(${longitude}, ${latitude}) <-> point(pickup.longitude, pickup.latitude) limit ${sql.placeholder('limit')}
    ) near
    union (
      select ${riderId} from ${riders} where ${isFree} and (${sql.placeholder('anywhere')} or ${latitude} is null)
      order by ${carrying}, ${riderId} limit ${sql.placeholder('limit')})`,
);

// A position report older than the last one changes nothing, but the UPDATE still matches the rider's row.
const isNewer = sql`(${latitude} is null or ${movedAt} <= ${sql.placeholder('at')}::timestamptz)`;
const move = prepared('move-rider', (db) =>
  db
    .update(riders)
    .set({
      latitude: sql`case when ${isNewer} then ${sql.placeholder('latitude')}::float8 else ${latitude} end`,
      longitude: sql`case when ${isNewer} then ${sql.placeholder('longitude')}::float8 else ${longitude} end`,
      movedAt: sql`case when ${isNewer} then ${sql.placeholder('at')}::timestamptz else ${movedAt} end`,
    })
    .where(eq(riderId, sql.placeholder('id'))),
);

const wantedPlaces = bulkParameters({ riderId, carrying });
const [ID, CARRYING] = [namesOf([riderId]), namesOf([carrying])];
/** The places requested of a rider, and the rider's free places. */
const places = namesOf([carrying], 'w');
const room = sql`${namesOf([capacity], 'r')} - ${namesOf([carrying], 'r')}`;

// By hand: reserves a batch's places in one statement. Output: the places reserved with each rider. FOR UPDATE reads the
// row's latest version, so of two transactions that request the last place only the first gets it.
const take = statement<{ rider_id: string; places: number }>(
  'take-places',
  sql`
    with free as (
      select r.${ID}, case when ${sql.placeholder('regardless')} then ${places} else least(${places}, ${room}) end as places
      from ${riders} r join ${wantedPlaces.relation} w using (${ID})
      where ${sql.placeholder('regardless')} or (${namesOf([isOnDuty], 'r')} and ${room} > 0)
      order by r.${ID} for update of r
    )
    update ${riders} r set ${CARRYING} = r.${CARRYING} + free.places from free where r.${ID} = free.${ID}
    returning r.${ID}, free.places`,
);

// By hand: releases a batch's places in one statement.
const release = statement(
  'release-places',
  sql`
    with held as (
      select r.${ID}, ${places} as places
      from ${riders} r join ${wantedPlaces.relation} w using (${ID}) order by r.${ID} for update of r
    )
    update ${riders} r set ${CARRYING} = r.${CARRYING} - held.places from held where r.${ID} = held.${ID}`,
);

export function postgresRiders(pool: pg.Pool): Riders {
  return {
    find: async (ids, tx) => (await find(tx ? clientOf(tx) : pool, { ids })).map(toRider),
    async free(tx, pickups, limit) {
      // Many orders share one restaurant.
      const known = [...new Map(pickups.flatMap((place) => (place ? [[place.join(), place]] : []))).values()];
      const { rows } = await free(clientOf(tx), {
        latitudes: known.map(([latitude]) => latitude),
        longitudes: known.map(([, longitude]) => longitude),
        anywhere: pickups.includes(undefined),
        limit,
      });
      const found = await find(clientOf(tx), { ids: rows.map((row) => row.rider_id) });
      return found.map(toRider);
    },
    async put({ id, name, isOnDuty, place, capacity }, at) {
      const rider = {
        name,
        isOnDuty,
        capacity,
        ...(place ? { latitude: place[0], longitude: place[1], movedAt: at } : {}),
      };
      const put = on(pool)
        .insert(riders)
        .values({ riderId: id, movedAt: at, ...rider })
        .onConflictDoUpdate({ target: riderId, set: rider })
        .returning(columns);
      const [row] = await attempt(put);
      return toRider(row as RiderRow);
    },
    async move(id, [latitude, longitude], at, tx) {
      const values = { id, latitude, longitude, at: movedAt.mapToDriverValue(at) };
      return (await move(tx ? clientOf(tx) : pool, values)).rowCount === 1;
    },
    async take(tx, wanted, { regardless } = { regardless: false }) {
      if (wanted.size === 0) return new Map();
      const { rows } = await take(clientOf(tx), { ...wantedPlaces.values(rowsOf(wanted)), regardless });
      return new Map(rows.map(({ rider_id, places }) => [rider_id, places]));
    },
    async release(tx, riderIds) {
      if (riderIds.length === 0) return;
      const counts = new Map<string, number>();
      for (const id of riderIds) counts.set(id, (counts.get(id) ?? 0) + 1);
      await release(clientOf(tx), wantedPlaces.values(rowsOf(counts)));
    },
  };
}

function rowsOf(places: ReadonlyMap<string, number>) {
  return [...places].map(([riderId, carrying]) => ({ riderId, carrying }));
}

function toRider(row: RiderRow): Rider {
  return {
    id: row.riderId,
    name: row.name,
    isOnDuty: row.isOnDuty,
    ...(row.latitude === null || row.longitude === null
      ? {}
      : { place: [row.latitude, row.longitude], placeAt: row.movedAt }),
    carrying: row.carrying,
    capacity: row.capacity,
  };
}

/** Riders in Postgres: where they are, and how many of their places are taken. */
import type pg from 'pg';
import type { Rider } from '../../../domain/delivery.ts';
import { toRfc3339 } from '../../../domain/schedule.ts';
import type { Riders } from '../../../service/delivery/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { query } from '../database.ts';
import { clientOf } from '../transactions.ts';

interface RiderRow {
  rider_id: string;
  name: string;
  is_on_duty: boolean;
  latitude: number | null;
  longitude: number | null;
  carrying: number;
  capacity: number;
}

const COLUMNS = 'rider_id, name, is_on_duty, latitude, longitude, carrying, capacity';

const FIND = {
  name: 'find-riders',
  text: `SELECT ${COLUMNS} FROM riders WHERE rider_id = ANY($1::text[])`,
};

// Input: latitudes and longitudes of pickups, whether there are more that nobody knows, a limit. Output: free riders, so
// many of the nearest to each pickup (by the index riders_free), and so many of those whose place is not known or no matter.
const FREE = {
  name: 'free-riders',
  text: `
    SELECT r.* FROM unnest($1::float8[], $2::float8[]) AS pickup(latitude, longitude)
    CROSS JOIN LATERAL (
      SELECT ${COLUMNS} FROM riders WHERE is_on_duty AND carrying < capacity AND latitude IS NOT NULL
      ORDER BY point(longitude, latitude) <-> point(pickup.longitude, pickup.latitude) LIMIT $4
    ) r
    UNION (
      SELECT ${COLUMNS} FROM riders WHERE is_on_duty AND carrying < capacity AND ($3 OR latitude IS NULL)
      ORDER BY carrying, rider_id LIMIT $4)
    ORDER BY rider_id`,
};

// Input: a rider; without a place the one that is known stays. Output: the row.
const PUT = {
  name: 'put-rider',
  text: `
    INSERT INTO riders AS r (rider_id, name, is_on_duty, capacity, latitude, longitude, moved_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (rider_id) DO UPDATE
    SET name = excluded.name, is_on_duty = excluded.is_on_duty, capacity = excluded.capacity,
        latitude = coalesce(excluded.latitude, r.latitude), longitude = coalesce(excluded.longitude, r.longitude),
        moved_at = CASE WHEN excluded.latitude IS NULL THEN r.moved_at ELSE excluded.moved_at END
    RETURNING ${COLUMNS}`,
};

// Input: rider, place, time. An older place than the one that is known changes nothing, and finds the rider all the same.
const MOVE = {
  name: 'move-rider',
  text: `
    WITH moved AS (
      UPDATE riders SET latitude = $2, longitude = $3, moved_at = $4
      WHERE rider_id = $1 AND (latitude IS NULL OR moved_at <= $4))
    SELECT rider_id FROM riders WHERE rider_id = $1`,
};

const WANTED = bulkParameters({ rider_id: 'words', places: 'int' });

// Input: riders and how many places to take of each; whether regardless of duty and room. Output: what was
// taken. The lock sees the row as it is by then, so two who want the last place get it one after the other, and once.
const TAKE = {
  name: 'take-places',
  text: `
    WITH free AS (
      SELECT r.rider_id, CASE WHEN $3 THEN w.places ELSE least(w.places, r.capacity - r.carrying) END AS places
      FROM riders r JOIN ${WANTED.from} w USING (rider_id)
      WHERE $3 OR (r.is_on_duty AND r.carrying < r.capacity)
      ORDER BY r.rider_id FOR UPDATE OF r
    )
    UPDATE riders r SET carrying = r.carrying + free.places FROM free WHERE r.rider_id = free.rider_id
    RETURNING r.rider_id, free.places`,
};

// Input: rider ids, each as often as it gives a place back.
const RELEASE = {
  name: 'release-places',
  text: `
    WITH held AS (
      SELECT r.rider_id, g.places
      FROM riders r JOIN (SELECT id AS rider_id, count(*)::int AS places FROM unnest($1::text[]) AS id GROUP BY 1) g
      USING (rider_id)
      ORDER BY r.rider_id FOR UPDATE OF r
    )
    UPDATE riders r SET carrying = r.carrying - held.places FROM held WHERE r.rider_id = held.rider_id`,
};

export function postgresRiders(pool: pg.Pool): Riders {
  return {
    async find(riderIds, tx) {
      const { rows } = await query<RiderRow>(tx ? clientOf(tx) : pool, FIND, [riderIds]);
      return rows.map(toRider);
    },
    async free(tx, pickups, limit) {
      // Many orders have one restaurant.
      const places = [
        ...new Map(pickups.flatMap((place) => (place ? [[place.join(), place]] : []))).values(),
      ];
      const { rows } = await query<RiderRow>(clientOf(tx), FREE, [
        places.map(([latitude]) => latitude),
        places.map(([, longitude]) => longitude),
        pickups.includes(undefined),
        limit,
      ]);
      return rows.map(toRider);
    },
    async put({ id, name, isOnDuty, place, capacity }, at) {
      const values = [id, name, isOnDuty, capacity, place?.[0] ?? null, place?.[1] ?? null, toRfc3339(at)];
      const { rows } = await query<RiderRow>(pool, PUT, values);
      return toRider(rows[0] as RiderRow);
    },
    async move(riderId, [latitude, longitude], at, tx) {
      const values = [riderId, latitude, longitude, toRfc3339(at)];
      const { rowCount } = await query(tx ? clientOf(tx) : pool, MOVE, values);
      return rowCount === 1;
    },
    async take(tx, wanted, { regardless } = { regardless: false }) {
      if (wanted.size === 0) return new Map();
      const places = [...wanted].map(([rider_id, places]) => ({ rider_id, places }));
      const { rows } = await query<{ rider_id: string; places: number }>(clientOf(tx), TAKE, [
        ...WANTED.values(places),
        regardless,
      ]);
      return new Map(rows.map(({ rider_id, places }) => [rider_id, places]));
    },
    async release(tx, riderIds) {
      if (riderIds.length > 0) await query(clientOf(tx), RELEASE, [riderIds]);
    },
  };
}

function toRider(row: RiderRow): Rider {
  return {
    id: row.rider_id,
    name: row.name,
    isOnDuty: row.is_on_duty,
    ...(row.latitude === null || row.longitude === null ? {} : { place: [row.latitude, row.longitude] }),
    carrying: row.carrying,
    capacity: row.capacity,
  };
}

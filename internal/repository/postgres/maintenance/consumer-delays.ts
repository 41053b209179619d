/** Measures how far each consumer of the event log lags. */
import { sql } from 'drizzle-orm';
import type pg from 'pg';
import { namesOf, statement } from '../queries.ts';
import { consumerCursors, events } from '../schema/stream.ts';

const { transactionId, position, storedAt } = events;
const { consumer } = consumerCursors;
const cursor = namesOf([consumerCursors.transactionId, consumerCursors.position], 'c');

// By hand: a position is a pair of columns. Finds the first event after each cursor. Output: each consumer with that
// event's age in seconds, or 0 if there is none.
const delays = statement<{ consumer: string; seconds: number }>(
  'consumer-delays',
  sql`select ${namesOf([consumer], 'c')}, coalesce(extract(epoch from clock_timestamp() - (
      select ${storedAt} from ${events} where (${transactionId}, ${position}) > (${cursor})
      order by ${transactionId}, ${position} limit 1)), 0)::float8 as seconds
    from ${consumerCursors} c`,
);

/** Delay in seconds by consumer. */
export async function consumerDelays(pool: pg.Pool): Promise<ReadonlyMap<string, number>> {
  const { rows } = await delays(pool);
  return new Map(rows.map(({ consumer, seconds }) => [consumer, seconds]));
}

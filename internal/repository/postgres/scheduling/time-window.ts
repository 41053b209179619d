/** Conditions for reading a window of time in keyset pages. Placeholders are epoch milliseconds. */
import { type SQL, sql } from 'drizzle-orm';
import type { AnyPgColumn } from 'drizzle-orm/pg-core';

const timeOf = (placeholder: string) => sql`to_timestamp(${sql.placeholder(placeholder)}::float8 / 1000)`;

/** Later than `after`; of the rows at that moment, those whose keys come after the placeholders named for them. */
export function isAfter(time: AnyPgColumn, ...keys: AnyPgColumn[]): SQL {
  const columns = sql.join([time, ...keys], sql`, `);
  const values = sql.join(
    [timeOf('after'), ...keys.map(({ name }) => sql.placeholder(keyOf(name)))],
    sql`, `,
  );
  return sql`(${columns}) > (${values})`;
}

/** Earlier than `before`. */
export function isBefore(time: AnyPgColumn): SQL {
  return sql`${time} < ${timeOf('before')}`;
}

/** A moment as the number that it is in JavaScript: pages have thousands of them, and text would have to be parsed. */
export function epochMs(time: AnyPgColumn): SQL<number> {
  return sql<number>`floor(extract(epoch from ${time}) * 1000)::float8`;
}

/** order_id → orderId. */
function keyOf(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

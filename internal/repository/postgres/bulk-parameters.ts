/** Bulk parameters: passes many rows to one statement, whose text is the same for any number of rows. */
import { type GetColumnData, type Placeholder, type SQL, sql } from 'drizzle-orm';
import type { AnyPgColumn, PgTable } from 'drizzle-orm/pg-core';
import { type Connection, namesOf, statement, type Values } from './queries.ts';

type Columns = Readonly<Record<string, AnyPgColumn>>;
export type RowOf<C extends Columns> = { readonly [K in keyof C]?: GetColumnData<C[K], 'query'> | undefined };

/** An ASCII record separator is between two values; a unit separator stands for NULL. JSON escapes both. */
const SEPARATOR = '\x1e';
const NULL = '\x1f';
/** Characters that text values lose: both separators, and NUL, which Postgres cannot store in text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern matches control characters on purpose
const UNSAFE = /[\0\x1e\x1f]/g;

export interface BulkParameters<C extends Columns> {
  /** A relation of the rows, for FROM or JOIN; the caller adds an alias. */
  readonly relation: SQL;
  readonly names: SQL;
  /**
   * The placeholders' values of at least one row; an absent value is NULL, and U+0000, U+001E and U+001F in text become
   * U+FFFD. Throws a RangeError if there is no row.
   */
  values(rows: readonly RowOf<C>[]): Values;
}

/** Each column is sent as one text of all its values. (Decision 21: why neither an array nor JSON.) */
export function bulkParameters<C extends Columns>(columns: C): BulkParameters<C> {
  const all = Object.entries<AnyPgColumn>(columns);
  const encoders = all.map(([key, column]) => [key, encoderOf(column)] as const);
  const names = namesOf(Object.values(columns));
  const arrays = sql.join(
    all.map(([key, column]) => arrayOf(sql.placeholder(key), typeOf(column))),
    sql`, `,
  );
  return {
    relation: sql`(select * from unnest(${arrays}) as u(${names}))`,
    names,
    values(rows) {
      if (rows.length === 0) throw new RangeError('bulk parameters need at least one row');
      return Object.fromEntries(
        encoders.map(([key, encode]) => [key, rows.map((row) => encode(row[key])).join(SEPARATOR)]),
      );
    },
  };
}

function arrayOf(text: Placeholder, type: string): SQL {
  const values = sql`string_to_array(${text}, E'\\x1e', E'\\x1f')`;
  if (type !== 'text') return sql`${values}::${sql.raw(type)}[]`;
  // string_to_array takes one empty text for no value at all.
  return sql`coalesce(nullif(${values}, '{}'), array[''])`;
}

function encoderOf(column: AnyPgColumn): (value: unknown) => unknown {
  const type = typeOf(column);
  // null is a JSON value; only undefined becomes NULL.
  if (type.startsWith('json'))
    return (value) => (value === undefined ? NULL : column.mapToDriverValue(value));
  if (type === 'text') return (value) => (typeof value === 'string' ? value.replace(UNSAFE, '\ufffd') : NULL);
  return (value) => (value === undefined || value === null ? NULL : column.mapToDriverValue(value));
}

/** The SQL type without length and collation, which the target column enforces itself. */
function typeOf(column: AnyPgColumn): string {
  const type = column.getSQLType();
  return /^(varchar|char)\b/.test(type) ? 'text' : type;
}

/** `name = source.name, …`, for SET. */
export function assignments(columns: readonly AnyPgColumn[], source: string): SQL {
  return sql.join(
    columns.map((column) => sql`${namesOf([column])} = ${namesOf([column], source)}`),
    sql`, `,
  );
}

export interface OnConflict {
  readonly target: readonly AnyPgColumn[];
  /** The columns to update in an existing row; without them an existing row is left unchanged. */
  readonly update?: readonly AnyPgColumn[];
  /** The condition that an existing row must meet to be updated. */
  readonly where?: SQL;
}

/** An INSERT of many rows; with `conflict`, rows are locked in the order of its target. */
export function bulkInsert<C extends Columns>(
  name: string,
  table: PgTable,
  columns: C,
  conflict?: OnConflict,
): (connection: Connection, rows: readonly RowOf<C>[]) => Promise<void> {
  const rows = bulkParameters(columns);
  const insert = sql`insert into ${table} (${rows.names}) select ${rows.names} from ${rows.relation} r`;
  const run = statement(name, conflict ? sql`${insert} ${onConflict(conflict)}` : insert);
  return async (connection, inserted) => {
    if (inserted.length > 0) await run(connection, rows.values(inserted));
  };
}

function onConflict({ target, update, where }: OnConflict): SQL {
  const names = namesOf(target);
  const action = update ? sql`do update set ${assignments(update, 'excluded')}` : sql`do nothing`;
  return sql`order by ${names} on conflict (${names}) ${action}${where ? sql` where ${where}` : sql``}`;
}

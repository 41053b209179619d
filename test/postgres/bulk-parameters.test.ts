/** Bulk parameters on a real Postgres: rows sent as one text for each column are stored unchanged. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { sql } from 'drizzle-orm';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import type pg from 'pg';
import {
  bulkInsert,
  bulkParameters,
  type RowOf,
} from '../../internal/repository/postgres/bulk-parameters.ts';
import { openPool } from '../../internal/repository/postgres/database.ts';
import { on, statement } from '../../internal/repository/postgres/queries.ts';
import { amount, json, jsonb, timestamptz } from '../../internal/repository/postgres/schema/columns.ts';
import { freshDatabase } from '../support/servers.ts';

const notes = pgTable('notes', {
  n: integer('n').primaryKey(),
  note: text('note'),
  at: timestamptz('at'),
  price: amount('price'),
  data: jsonb('data'),
  raw: json('raw'),
});
const columns = {
  n: notes.n,
  note: notes.note,
  at: notes.at,
  price: notes.price,
  data: notes.data,
  raw: notes.raw,
};
const ROWS = bulkParameters(columns);
const echo = statement<{ note: string | null }>(
  'echo',
  sql`select ${ROWS.names} from ${ROWS.relation} r order by n`,
);
const NOTHING = { note: null, at: null, price: null, data: null, raw: null };

describe('bulk parameters', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  const notesOf = async (rows: readonly RowOf<typeof columns>[]) =>
    (await echo(pool, ROWS.values(rows))).rows.map(({ note }) => note);

  before(async () => {
    database = await freshDatabase();
    pool = openPool(database.url, { max: 1, onError() {} });
    await pool.query(
      'CREATE TABLE notes (n integer PRIMARY KEY, note text, at timestamptz(3), price numeric(14, 2), data jsonb, raw json)',
    );
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });

  it('values of every type are stored unchanged, with line breaks, quotes and braces; absent values are NULL', async () => {
    const insert = bulkInsert('insert-notes', notes, columns);
    const note = 'two\nlines, "quoted", \\n and {braces}';
    const full = { n: 1, note, at: 1_777_629_600_123, price: 1_250, data: { note }, raw: [note] };
    await insert(pool, [full, { n: 2, note: '' }, { n: 3, data: null, raw: null }]);
    assert.deepEqual(await on(pool).select().from(notes).orderBy(notes.n), [
      full,
      { ...NOTHING, n: 2, note: '' },
      { ...NOTHING, n: 3 },
    ]);
    const { rows } = await pool.query(`SELECT raw::text FROM notes WHERE n = 3`);
    assert.deepEqual(rows, [{ raw: 'null' }], 'the JSON value null is not NULL');
  });

  it('existing rows are updated, only in the columns named for updates', async () => {
    await pool.query('TRUNCATE notes');
    const { n, note, price } = columns;
    const save = bulkInsert('save-notes', notes, { n, note, price }, { target: [n], update: [note] });
    await save(pool, [{ n: 1, note: 'old', price: 100 }]);
    await save(pool, [
      { n: 2, note: 'other', price: 300 },
      { n: 1, note: 'new', price: 200 },
    ]);
    assert.deepEqual(await on(pool).select({ n, note, price }).from(notes).orderBy(n), [
      { n: 1, note: 'new', price: 100 },
      { n: 2, note: 'other', price: 300 },
    ]);
  });

  it('an empty list of rows is refused, since the database would read it as one empty text', () => {
    assert.throws(() => ROWS.values([]), RangeError);
  });

  it('an empty text is stored as such, also where it is the only row', async () => {
    assert.deepEqual(await notesOf([{ n: 1, note: '' }]), ['']);
  });

  it('characters that cannot be sent in text are replaced', async () => {
    assert.deepEqual(await notesOf([{ n: 1, note: 'a\u0000b\u001ec\u001fd\ud800e' }]), [
      'a\ufffdb\ufffdc\ufffdd\ufffde',
    ]);
  });

  it('any other text is returned unchanged, in any number of rows', async () => {
    const words = fc.option(
      fc
        .string({ unit: 'binary' })
        .filter((text) => !['\0', '\x1e', '\x1f'].some((mark) => text.includes(mark))),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(words, { minLength: 1, maxLength: 20 }), async (sent) => {
        assert.deepEqual(await notesOf(sent.map((note, n) => ({ n, note }))), sent);
      }),
      { numRuns: 200 },
    );
  });
});

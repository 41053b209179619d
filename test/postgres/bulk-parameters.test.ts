/** Rows that travel as one text for each column come back from a real Postgres as they were sent. */
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

  it('carry values of every type, line breaks, quotes and braces included, and NULL where a value is absent', async () => {
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
    assert.deepEqual(rows, [{ raw: 'null' }], 'in JSON null is a value');
  });

  it('update the rows that are there already, in the columns named for it', async () => {
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

  it('carry no row at all as no row', async () => {
    assert.deepEqual(await notesOf([]), []);
  });

  it('replace in text the characters that cannot travel', async () => {
    assert.deepEqual(await notesOf([{ n: 1, note: 'a\u0000b\u001ec\u001fd\ud800e' }]), [
      'a\ufffdb\ufffdc\ufffdd\ufffde',
    ]);
  });

  it('bring any other text back as it was, in any number of rows', async () => {
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

/** Rows sent as lines come back from a real Postgres as they were, whatever is in them. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type pg from 'pg';
import { bulkParameters } from '../../internal/repository/postgres/bulk-parameters.ts';
import { openPool } from '../../internal/repository/postgres/database.ts';
import { freshDatabase } from '../support/servers.ts';

const ROWS = bulkParameters({ n: 'int', name: 'text', note: 'words', data: 'jsonb', at: 'timestamptz' });

describe('rows as lines', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  const send = async (rows: Parameters<typeof ROWS.values>[0]) =>
    (await pool.query(`SELECT ${ROWS.names} FROM ${ROWS.from} r ORDER BY n`, ROWS.values(rows))).rows;

  before(async () => {
    database = await freshDatabase();
    pool = openPool(database.url, { max: 1, onError() {} });
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });

  it('keep line breaks, quotes, backslashes and emptiness in words, and leave out what is absent', async () => {
    const note = 'two\nlines, "quoted", \\n and {braces}';
    assert.deepEqual(
      await send([
        { n: 1, name: 'a,b', note, data: { note }, at: '2026-05-01T10:00:00.123Z' },
        { n: 2, note: '' },
        { n: 3, data: null },
      ]),
      [
        { n: 1, name: 'a,b', note, data: { note }, at: new Date('2026-05-01T10:00:00.123Z') },
        { n: 2, name: null, note: '', data: null, at: null },
        { n: 3, name: null, note: null, data: null, at: null },
      ],
    );
  });

  it('replace in words what no text of a database can hold', async () => {
    const [row] = await send([{ n: 1, note: 'a\u0000b\ud800c' }]);
    assert.equal(row.note, 'a\ufffdb\ufffdc');
  });

  it('refuse a line break that would shift a column against the others', () => {
    assert.throws(() => ROWS.values([{ n: 1, name: 'a\nb' }, { n: 2 }]), /type text is one line: "a\\nb"/);
  });

  it('come back as they were, any words in any number', async () => {
    const words = fc.option(fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0')));
    await fc.assert(
      fc.asyncProperty(fc.array(words, { minLength: 1, maxLength: 20 }), async (notes) => {
        const rows = await send(notes.map((note, n) => ({ n, note })));
        assert.deepEqual(
          rows.map((row) => row.note),
          notes,
        );
      }),
      { numRuns: 200 },
    );
  });
});

/** The migrations match the schema, and the migrator applies all migrations of the journal. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { MIGRATIONS } from '../internal/repository/postgres/database.ts';
import { describedTables, migratedTables, readJournal } from './support/schema.ts';

/** SHA-256 of each migration that existing databases may have applied. */
const LANDED = {
  '0001_orders_and_events': '552b851e73bcd9220015c7b0179ee0f7c103f4cf3cc5977836547b5c8d598b18',
  '0002_fulfilment': 'acd4f9d4fa564de1181d1e0f979fd1bdefe93e029526224d23e9bff5780fa354',
  '0003_retention': '7155a76c292a42d4042e45b7550a22d67c00863096d573f75183ee85c902a958',
  '0004_installation': 'c09f92d16ecd98a6ae3e58e4b6df4f3b1c997783637bad83682cbb88027fafb2',
  '0005_erasure': '5285cd07b302b0d083a1baae6e481a7031cf85b9dfe4f3db4fd8c3776224dabf',
  '0006_tracking': '45d50884e97911ee6b227699ddf1c9a53d5d166dad67eb60dbb55980078791c3',
  '0007_eta_reasons': 'f455dca6ebb8431222405ca89938ad0be96c638a4a1b5322f259d09e9ef3acda',
  '0008_ticket_ready': 'c6b192c0c945d90fc14f09ff4beaeab1ccad523a3d9209c109195426a992174d',
};

test('every change of the schema has a migration; `npm run migration` generates it', async () => {
  assert.deepEqual((await describedTables()).tables, migratedTables().tables);
});

test('the journal lists every migration, numbered and in the order of time', () => {
  const { entries } = readJournal();
  const tags = entries.map(({ tag }) => tag);
  assert.deepEqual(
    tags.map((tag) => `${tag}.sql`),
    fs
      .readdirSync(MIGRATIONS)
      .filter((file) => file.endsWith('.sql'))
      .sort(),
  );
  assert.deepEqual(
    entries.map(({ idx }) => idx),
    tags.map((tag) => Number(tag.slice(0, 4))),
  );
  // The migrator skips a migration whose time is not after that of the last one applied.
  const times = entries.map(({ when }) => when);
  assert.deepEqual(
    times,
    [...new Set(times)].sort((a, b) => a - b),
  );
});

test('a migration that has landed does not change', () => {
  for (const [tag, hash] of Object.entries(LANDED)) {
    const text = fs.readFileSync(path.join(MIGRATIONS, `${tag}.sql`), 'utf8').replaceAll('\r\n', '\n');
    assert.equal(createHash('sha256').update(text).digest('hex'), hash, tag);
  }
});

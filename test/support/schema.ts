/** Reads the schema of the tables and the migrations, for the tests that compare the two. */
import fs from 'node:fs';
import path from 'node:path';
import { type DrizzleSnapshotJSON, generateDrizzleJson, generateMigration } from 'drizzle-kit/api';
import { MIGRATIONS } from '../../internal/repository/postgres/database.ts';

const SCHEMA = path.join(MIGRATIONS, '../schema');

export interface Journal {
  readonly entries: readonly { readonly idx: number; readonly tag: string; readonly when: number }[];
}

export function readJournal(): Journal {
  return readMeta('_journal.json') as Journal;
}

/** The tables as the schema describes them now. */
export async function describedTables(): Promise<DrizzleSnapshotJSON> {
  const files = fs
    .readdirSync(SCHEMA)
    .map((file) => import(`../../internal/repository/postgres/schema/${path.basename(file, '.ts')}.ts`));
  const exported = Object.assign({}, ...(await Promise.all(files)));
  return JSON.parse(JSON.stringify(generateDrizzleJson(exported)));
}

/** The statements that create the described tables in an empty database. */
export async function describedDdl(): Promise<string> {
  const nothing = JSON.parse(JSON.stringify(generateDrizzleJson({})));
  return (await generateMigration(nothing, await describedTables())).join('\n');
}

/** The tables as the snapshot of the newest migration describes them. */
export function migratedTables(): DrizzleSnapshotJSON {
  const { idx } = readJournal().entries.at(-1)!;
  return readMeta(`${String(idx).padStart(4, '0')}_snapshot.json`) as DrizzleSnapshotJSON;
}

function readMeta(file: string): unknown {
  return JSON.parse(fs.readFileSync(path.join(MIGRATIONS, 'meta', file), 'utf8'));
}

/** Reads the id of the database, which the views in Redis carry. */
import type pg from 'pg';
import { TiffinError } from '../../../domain/errors.ts';
import { prepared } from '../queries.ts';
import { installation } from '../schema/installation.ts';

const read = prepared('database-id', (db) =>
  db.select({ databaseId: installation.databaseId }).from(installation),
);

export async function databaseIdOf(pool: pg.Pool): Promise<string> {
  const [row] = await read(pool);
  if (!row) throw new TiffinError('UNAVAILABLE', 'the table installation of the database is empty');
  return row.databaseId;
}

/** Reads what belongs to this installation: the id of its database, which the views in Redis carry, and the key of its links. */
import type pg from 'pg';
import { TiffinError } from '../../domain/errors.ts';
import { prepared } from './queries.ts';
import { installation } from './schema/installation.ts';

const { databaseId, trackingSecret } = installation;
const read = prepared('installation', (db) => db.select({ databaseId, trackingSecret }).from(installation));

export async function installationOf(pool: pg.Pool): Promise<{ databaseId: string; trackingSecret: string }> {
  const [row] = await read(pool);
  if (!row) throw new TiffinError('UNAVAILABLE', 'the table installation of the database is empty');
  return row;
}

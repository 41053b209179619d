/** Stores the responses to idempotency keys. */
import { and, eq, sql } from 'drizzle-orm';
import type { IdempotencyKey, StoredResponse } from '../../service/ports.ts';
import { type Connection, prepared } from './queries.ts';
import { idempotencyKeys } from './schema/orders.ts';

/** The constraint that a second response to one key violates. */
export const ONE_RESPONSE = 'idempotency_keys_pkey';

const find = prepared('find-response', (db) =>
  db
    .select({ fingerprint: idempotencyKeys.fingerprint, response: idempotencyKeys.response })
    .from(idempotencyKeys)
    .where(
      and(
        eq(idempotencyKeys.principal, sql.placeholder('principal')),
        eq(idempotencyKeys.operation, sql.placeholder('operation')),
        eq(idempotencyKeys.key, sql.placeholder('key')),
      ),
    ),
);

const insert = prepared('insert-response', (db) =>
  db.insert(idempotencyKeys).values({
    principal: sql.placeholder('principal'),
    operation: sql.placeholder('operation'),
    key: sql.placeholder('key'),
    fingerprint: sql.placeholder('fingerprint'),
    response: sql.placeholder('response'),
  }),
);

export async function findResponse(
  connection: Connection,
  { principal, operation, key }: IdempotencyKey,
): Promise<StoredResponse | undefined> {
  const [row] = await find(connection, { principal, operation, key });
  return row && { ...row.response, fingerprint: row.fingerprint };
}

/** Fails with a violation of ONE_RESPONSE if the key already has a response. */
export async function saveResponse(
  connection: Connection,
  { principal, operation, key, fingerprint }: IdempotencyKey,
  response: StoredResponse,
): Promise<void> {
  await insert(connection, {
    principal,
    operation,
    key,
    fingerprint,
    response: withoutFingerprint(response),
  });
}

/** The content of the response column: the fingerprint has its own column. */
export function withoutFingerprint({ status, headers, body }: StoredResponse) {
  return { status, headers, body };
}

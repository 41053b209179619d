/** The stored answers to idempotency keys. */
import type { IdempotencyKey, StoredResponse } from '../../service/ports.ts';
import { type Queryable, query, toJson } from './database.ts';

const RECALL = {
  name: 'recall-answer',
  text: 'SELECT fingerprint, answer FROM idempotency_keys WHERE principal = $1 AND operation = $2 AND key = $3',
};

const REMEMBER = {
  name: 'remember-answer',
  text: 'INSERT INTO idempotency_keys (principal, operation, key, fingerprint, answer) VALUES ($1, $2, $3, $4, $5)',
};

/** The constraint that a second answer to one key violates. */
export const ONE_RESPONSE = 'idempotency_keys_pkey';

interface AnswerRow {
  fingerprint: string;
  answer: Omit<StoredResponse, 'fingerprint'>;
}

export async function findResponse(
  db: Queryable,
  { principal, operation, key }: IdempotencyKey,
): Promise<StoredResponse | undefined> {
  const { rows } = await query<AnswerRow>(db, RECALL, [principal, operation, key]);
  return rows[0] && { ...rows[0].answer, fingerprint: rows[0].fingerprint };
}

/** Fails with a violation of ONE_RESPONSE where there is an answer already. */
export async function saveResponse(
  db: Queryable,
  { principal, operation, key, fingerprint }: IdempotencyKey,
  answer: StoredResponse,
): Promise<void> {
  await query(db, REMEMBER, [principal, operation, key, fingerprint, toJson(responseColumn(answer))]);
}

/** The answer column: the fingerprint has one of its own. */
export function responseColumn({ status, headers, body }: StoredResponse): AnswerRow['answer'] {
  return { status, headers, body };
}

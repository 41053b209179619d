/** Idempotency keys: a request that is repeated under its key takes effect once and gets the stored response. */
import { TiffinError } from '../domain/errors.ts';
import type { IdempotencyKey, StoredResponse, Transaction } from './ports.ts';

/** A request's idempotency key, and a function from the request's result to its response. */
export interface Idempotency<T> {
  readonly key: IdempotencyKey;
  readonly answer: (result: T) => Omit<StoredResponse, 'fingerprint'>;
}

/** The result of a request that took effect now, or the stored response of an earlier request with the same key. */
export type Answered<T> = { readonly result: T } | { readonly answer: StoredResponse };

/**
 * Runs `work` in the transaction and stores its response under the key. If the key has a stored response, returns that and
 * does not run `work`. Without a key it only runs `work`.
 * @throws TiffinError IDEMPOTENCY_KEY_REUSED if the key belongs to a request with other content.
 */
export async function answerOnce<T>(
  tx: Transaction,
  idempotency: Idempotency<T> | undefined,
  work: () => Promise<T>,
): Promise<Answered<T>> {
  if (!idempotency) return { result: await work() };
  const answer = await tx.idempotency.find(idempotency.key);
  if (answer && answer.fingerprint !== idempotency.key.fingerprint) throw keyReused();
  if (answer) return { answer };
  const result = await work();
  await tx.idempotency.save(idempotency.key, responseTo(idempotency, result));
  return { result };
}

/** The response to store for a result. */
export function responseTo<T>({ key, answer }: Idempotency<T>, result: T): StoredResponse {
  return { ...answer(result), fingerprint: key.fingerprint };
}

export function keyReused(): TiffinError {
  return new TiffinError(
    'IDEMPOTENCY_KEY_REUSED',
    'this idempotency key was used before, for a request with other content',
  );
}

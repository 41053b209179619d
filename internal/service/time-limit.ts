/** A time limit for work that waits for another system. */
import { TiffinError } from '../domain/errors.ts';

/** Rejects with UNAVAILABLE after the limit; the work itself is not cancelled. */
export async function within<T>(limitMs: number, work: Promise<T>, system: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new TiffinError('UNAVAILABLE', `${system} did not answer within ${limitMs / 1_000} s`)),
      limitMs,
    );
  });
  work.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

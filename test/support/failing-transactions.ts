/** Transactions of which the first few fail just before their commit, as when Postgres goes away. */
import type pg from 'pg';
import { TiffinError } from '../../internal/domain/errors.ts';
import { postgresTransactions } from '../../internal/repository/postgres/transactions.ts';
import type { Transaction, Transactions } from '../../internal/service/ports.ts';

export function failingTransactions(pool: pg.Pool, failures: number): Transactions {
  const own = postgresTransactions(pool, () => {});
  let left = failures;
  return {
    run: <T>(work: (tx: Transaction) => Promise<T>) =>
      own.run(async (tx) => {
        const result = await work(tx);
        left -= 1;
        if (left >= 0) throw new TiffinError('UNAVAILABLE', 'failed before the commit');
        return result;
      }),
  };
}

/** Opens the store of the history: Postgres, or Cassandra by HISTORY_URL. */
import type pg from 'pg';
import { openCassandra } from '../internal/repository/cassandra/connection.ts';
import { cassandraHistory } from '../internal/repository/cassandra/order-history.ts';
import { postgresHistory } from '../internal/repository/postgres/views/order-history.ts';
import type { Clock, Log } from '../internal/service/ports.ts';
import { withEarlier } from '../internal/service/views/earlier-history.ts';
import type { History } from '../internal/service/views/ports.ts';
import type { Config } from './config.ts';

const DAY_MS = 86_400_000;

export interface OpenHistory {
  readonly history: History;
  /** Why a history outside Postgres cannot be used; undefined if it can. */
  readonly fault: () => Promise<string | undefined>;
  close(): Promise<void>;
}

export function openHistory(config: Config, pool: pg.Pool, clock: Clock, log: Log): OpenHistory {
  const inPostgres = postgresHistory(pool);
  if (!config.HISTORY_URL)
    return { history: inPostgres, fault: async () => undefined, close: async () => {} };
  const cassandra = openCassandra(config.HISTORY_URL, log);
  const history = cassandraHistory(cassandra, { clock, keepMs: config.HISTORY_DAYS * DAY_MS });
  return {
    // What was stored before HISTORY_URL was set stays in Postgres until it expires.
    history: withEarlier(history, inPostgres),
    fault: history.fault,
    close: cassandra.close,
  };
}

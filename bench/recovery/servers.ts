/** The servers that are broken: Postgres, and two Redis behind one address; programs reach them through proxies. */
import pg from 'pg';
import { type OwnPostgres, startOwnPostgres } from '../../test/support/own-postgres.ts';
import { type OwnRedis, startOwnRedis } from '../../test/support/own-redis.ts';
import { proxyTo, type ServerProxy } from '../../test/support/proxy.ts';
import { until } from '../../test/support/until.ts';

export interface Servers {
  readonly postgres: OwnPostgres;
  redis(): OwnRedis;
  /** Stops the primary from taking writes; the returned function promotes the replica behind the same address. */
  demoteRedis(): Promise<() => Promise<void>>;
  /** New proxies, which a program uses alone or with others. */
  link(): Promise<Link>;
  /** Postgres, past every proxy; reconnects after each error. */
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  stop(): Promise<void>;
}

/** A program's way to the servers. */
export interface Link {
  readonly postgres: ServerProxy;
  readonly redis: ServerProxy;
  readonly env: { DATABASE_URL: string; REDIS_URL: string };
}

export async function startServers(): Promise<Servers> {
  const durable = ['--appendonly', 'yes', '--repl-diskless-sync-delay', '0'];
  const [postgres, ...both] = await Promise.all([
    startOwnPostgres(),
    startOwnRedis(...durable),
    startOwnRedis(...durable),
  ]);
  let [primary, replica] = both as [OwnRedis, OwnRedis];
  const links: Link[] = [];
  let client: pg.Client | undefined;
  const follow = async () => {
    await replica.call('REPLICAOF', '127.0.0.1', new URL(primary.url).port);
    await inStep();
  };
  const inStep = () =>
    until('the replica to be in step', async () =>
      /master_link_status:up/.test(String(await replica.call('INFO', 'replication'))),
    );
  await follow();
  return {
    postgres,
    redis: () => primary,
    async demoteRedis() {
      await inStep();
      await primary.call('REPLICAOF', '127.0.0.1', '1');
      return async () => {
        await replica.call('REPLICAOF', 'NO', 'ONE');
        for (const { redis } of links) redis.leadTo(replica.url);
        [primary, replica] = [replica, primary];
        void follow();
      };
    },
    async link() {
      const [toPostgres, toRedis] = await Promise.all([proxyTo(postgres.url), proxyTo(primary.url)]);
      const link = {
        postgres: toPostgres,
        redis: toRedis,
        env: { DATABASE_URL: toPostgres.url, REDIS_URL: toRedis.url },
      };
      links.push(link);
      return link;
    },
    async query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) {
      try {
        if (!client) {
          const next = new pg.Client({ connectionString: postgres.url });
          next.on('error', () => {});
          await next.connect();
          await next.query('SET default_transaction_read_only = off');
          client = next;
        }
        return (await client.query<Row>(text, values)).rows;
      } catch (error) {
        client?.end().catch(() => {});
        client = undefined;
        throw error;
      }
    },
    async stop() {
      await client?.end().catch(() => {});
      await Promise.all(links.flatMap(({ postgres, redis }) => [postgres.close(), redis.close()]));
      await Promise.all([postgres.stop(), ...both.map((redis) => redis.stop())]);
    },
  };
}

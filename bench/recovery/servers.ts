/** The servers that are broken: Postgres, two Redis behind one address, and a Kafka; programs reach them through proxies. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { freePort } from '../../cmd/java/jvm.ts';
import { type KafkaBroker, startKafka } from '../../cmd/kafka/broker.ts';
import { type OwnPostgres, startOwnPostgres } from '../../test/support/own-postgres.ts';
import { type OwnRedis, startOwnRedis } from '../../test/support/own-redis.ts';
import { proxyTo, type ServerProxy } from '../../test/support/proxy.ts';
import { until } from '../../test/support/until.ts';

export interface Servers {
  readonly postgres: OwnPostgres;
  redis(): OwnRedis;
  /** On the stream in Kafka. */
  readonly kafka?: Broker;
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
  readonly env: { DATABASE_URL: string; REDIS_URL: string; KAFKA_BROKERS?: string };
}

/** A broker, and the one proxy that it names to all its clients as its address. */
export interface Broker {
  readonly broker: KafkaBroker;
  readonly proxy: ServerProxy;
  stop(): Promise<void>;
}

async function startBroker(): Promise<Broker> {
  // A broker that starts on the same two cores as everything else spends them on its optimising compiler at first.
  process.env.JAVA_TOOL_OPTIONS ??= '-XX:TieredStopAtLevel=1';
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-bench-kafka-'));
  const port = await freePort();
  const proxy = await proxyTo(`tcp://127.0.0.1:${port}`);
  const advertised = `PLAINTEXT://${new URL(proxy.url).host}`;
  const broker = await startKafka({ dir, port, properties: { 'advertised.listeners': advertised } });
  return {
    broker,
    proxy,
    async stop() {
      await broker.stop();
      await proxy.close();
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}

export async function startServers(stream: 'postgres' | 'kafka'): Promise<Servers> {
  const kafka = stream === 'kafka' ? await startBroker() : undefined;
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
    ...(kafka ? { kafka } : {}),
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
        env: {
          DATABASE_URL: toPostgres.url,
          REDIS_URL: toRedis.url,
          ...(kafka ? { KAFKA_BROKERS: new URL(kafka.proxy.url).host } : {}),
        },
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
      await Promise.all([postgres.stop(), kafka?.stop(), ...both.map((redis) => redis.stop())]);
    },
  };
}

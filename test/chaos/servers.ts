/** The servers of a run: Postgres, two Redis and Kafka, each behind a proxy, and what can be done to them. */
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import getPort from 'get-port';
import { Kafka, logLevel } from 'kafkajs';
import pg from 'pg';
import { prepareDataDir } from '../../cmd/embedded/place.ts';
import { embeddedPostgres } from '../../cmd/embedded/postgres.ts';
import { type ServerProcess, startServer } from '../../cmd/embedded/server-process.ts';
import { type KafkaBroker, startKafka } from '../../cmd/kafka/broker.ts';
import { type Disk, mountDisk } from '../support/disk.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';
import type { Peer, Stream } from './fault.ts';

const POSTGRES_MB = 2_000;
const REDIS_MB = 64;
/** SQLSTATE duplicate_database. */
const EXISTS = '42P04';

export interface Servers {
  /** Postgres itself, past the proxy. */
  readonly databaseUrl: string;
  readonly proxies: Readonly<Partial<Record<Peer, ServerProxy>>>;
  readonly postgres: {
    stop(signal: 'SIGINT' | 'SIGQUIT'): Promise<void>;
    start(): Promise<void>;
    /** Resolves when it answers; starts it if it has ended. */
    revive(): Promise<void>;
    /** Makes another database, and resolves with its URL through the proxy. */
    another(name: string): Promise<string>;
    /** The disk of its data. */
    readonly disk: Disk | undefined;
  };
  readonly redis: {
    /** The server that the proxy leads to. */
    primary(): OwnRedis;
    /** Promotes a replica, makes the primary its replica, and leads new connections to the promoted one. */
    failOver(): Promise<void>;
    /** A disk that it may write to. */
    readonly disk: Disk | undefined;
  };
  readonly kafka: KafkaBroker | undefined;
  stop(): Promise<void>;
}

/** Data and logs go to `dir`; with `onSmallDisks` the data of Postgres, and what Redis writes, to disks that can be made full. */
export async function startServers(dir: string, stream: Stream, onSmallDisks: boolean): Promise<Servers> {
  const disk = (name: string, megabytes: number) =>
    onSmallDisks ? mountDisk(path.join(dir, name), megabytes) : undefined;
  const [postgres, redis, kafka] = await Promise.all([
    startPostgres(dir, disk('postgres', POSTGRES_MB)),
    startRedisPair(disk('redis', REDIS_MB)),
    stream === 'kafka' ? startBroker(path.join(dir, 'kafka')) : undefined,
  ]);
  return {
    databaseUrl: postgres.url,
    proxies: {
      postgres: postgres.proxy,
      redis: redis.proxy,
      ...(kafka ? { kafka: kafka.proxy } : {}),
    },
    postgres,
    redis,
    kafka: kafka?.broker,
    async stop() {
      await Promise.all([postgres.close(), redis.close(), kafka?.close()]);
    },
  };
}

/** An administrator's client of the run's Kafka. */
export function kafkaClient({ kafka }: Servers): Kafka {
  return new Kafka({ brokers: [kafka!.brokers], logLevel: logLevel.NOTHING });
}

async function startPostgres(dir: string, disk: Disk | undefined) {
  const { dataDir, user } = prepareDataDir(path.join(dir, 'postgres'));
  const log = fs.openSync(path.join(dir, 'postgres.log'), 'a');
  const kind = (await embeddedPostgres(dataDir, user, log))(await getPort({ host: '127.0.0.1' }));
  fs.appendFileSync(path.join(dataDir, 'postgres/postgresql.conf'), 'max_prepared_transactions = 10\n');
  let server: ServerProcess;
  let child: ChildProcess;
  const start = async () => {
    server = startServer({ ...kind, spawn: () => (child = kind.spawn()) });
    await server.ready;
  };
  async function ask(statement: string): Promise<void> {
    const client = new pg.Client({ connectionString: kind.url });
    client.on('error', () => {});
    await client.connect();
    await client.query(statement).finally(() => client.end());
  }
  await start();
  const proxy = await proxyTo(kind.url);
  return {
    url: kind.url,
    proxy,
    disk,
    start,
    async revive() {
      await until('Postgres to answer', async () => {
        if (child.exitCode !== null || child.signalCode !== null) await start().catch(() => {});
        return ask('SELECT').then(
          () => true,
          () => false,
        );
      });
    },
    async another(name: string) {
      await ask(`CREATE DATABASE ${name}`).catch((error: { code?: string }) => {
        if (error.code !== EXISTS) throw error;
      });
      const url = new URL(proxy.url);
      url.pathname = name;
      return url.href;
    },
    /** SIGINT shuts down in good order, SIGQUIT as a crash. */
    async stop(signal: 'SIGINT' | 'SIGQUIT') {
      child.kill(signal);
      await server.ended;
    },
    async close() {
      await proxy.close();
      await server.stop();
      fs.closeSync(log);
      disk?.unmount();
    },
  };
}

async function startRedisPair(disk: Disk | undefined) {
  let [primary, replica] = await Promise.all([startOwnRedis(), startOwnRedis()]);
  const proxy = await proxyTo(primary.url);
  return {
    proxy,
    disk,
    primary: () => primary,
    async failOver() {
      await follow(replica, primary);
      while (!/master_link_status:up/.test(String(await replica.call('INFO', 'replication'))))
        await pause(20);
      await replica.call('REPLICAOF', 'NO', 'ONE');
      proxy.leadTo(replica.url);
      await follow(primary, replica);
      [primary, replica] = [replica, primary];
    },
    async close() {
      await Promise.all([proxy.close(), primary.stop(), replica.stop()]);
      disk?.unmount();
    },
  };
}

function follow(follower: OwnRedis, leader: OwnRedis): Promise<unknown> {
  const { hostname, port } = new URL(leader.url);
  return follower.call('REPLICAOF', hostname, port);
}

/** The broker names the proxy's address to its clients, so that every connection of theirs goes through it. */
async function startBroker(dir: string) {
  const port = await getPort({ host: '127.0.0.1' });
  const proxy = await proxyTo(`tcp://127.0.0.1:${port}`);
  const advertised = `PLAINTEXT://127.0.0.1:${new URL(proxy.url).port}`;
  const options = { dir, port, properties: { 'advertised.listeners': advertised } };
  const broker = await startKafka(options);
  return {
    broker,
    proxy,
    async close() {
      await broker.stop();
      await proxy.close();
    },
  };
}

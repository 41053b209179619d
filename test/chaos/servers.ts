/** The servers of a run: Postgres, two Redis and Kafka, each behind a proxy, and what can be done to them. */
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import getPort from 'get-port';
import { prepareDataDir } from '../../cmd/embedded/place.ts';
import { embeddedPostgres } from '../../cmd/embedded/postgres.ts';
import { type ServerProcess, startServer } from '../../cmd/embedded/server-process.ts';
import { type KafkaBroker, startKafka } from '../../cmd/kafka/broker.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';
import type { Peer, Stream } from './plan.ts';

export interface Servers {
  /** Postgres itself, past the proxy. */
  readonly databaseUrl: string;
  readonly proxies: Readonly<Partial<Record<Peer, ServerProxy>>>;
  readonly postgres: {
    stop(signal: 'SIGINT' | 'SIGQUIT'): Promise<void>;
    start(): Promise<void>;
  };
  readonly redis: {
    /** The server that the proxy leads to. */
    primary(): OwnRedis;
    /** Promotes a replica, makes the primary its replica, and leads new connections to the promoted one. */
    failOver(): Promise<void>;
  };
  readonly kafka: KafkaBroker | undefined;
  stop(): Promise<void>;
}

export async function startServers(dir: string, stream: Stream): Promise<Servers> {
  const [postgres, redis, kafka] = await Promise.all([
    startPostgres(path.join(dir, 'postgres')),
    startRedisPair(),
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

async function startPostgres(dir: string) {
  const { dataDir, user } = prepareDataDir(dir);
  const log = fs.openSync(path.join(dataDir, 'servers.log'), 'a');
  const kind = (await embeddedPostgres(dataDir, user, log))(await getPort({ host: '127.0.0.1' }));
  let server: ServerProcess;
  let child: ChildProcess;
  const start = async () => {
    server = startServer({ ...kind, spawn: () => (child = kind.spawn()) });
    await server.ready;
  };
  await start();
  const proxy = await proxyTo(kind.url);
  return {
    url: kind.url,
    proxy,
    start,
    /** SIGINT shuts down in good order, SIGQUIT as a crash. */
    async stop(signal: 'SIGINT' | 'SIGQUIT') {
      child.kill(signal);
      await server.ended;
    },
    async close() {
      await proxy.close();
      await server.stop();
      fs.closeSync(log);
    },
  };
}

async function startRedisPair() {
  let [primary, replica] = await Promise.all([startOwnRedis(), startOwnRedis()]);
  const proxy = await proxyTo(primary.url);
  return {
    proxy,
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

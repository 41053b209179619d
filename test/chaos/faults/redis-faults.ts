/** Faults of Redis, and of what it answers about its own state. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import { type FaultKind, faultKind, outage, type Scene } from '../fault.ts';

const SNAPSHOT_AGE_MS = 3_000;
const NEIGHBOUR = 'neighbour';

/** A state that commands begin, and others end after a while. */
function passingState(kind: string, begin: readonly string[][], end: readonly string[]): FaultKind {
  return faultKind({
    kind,
    details: (random) => ({ ms: outage(random) }),
    async cause({ servers }, { ms }) {
      const redis = servers.redis.primary();
      for (const [command, ...args] of begin) await redis.call(command as string, ...args);
      await pause(ms);
      await redis.call(end[0] as string, ...end.slice(1));
    },
  });
}

export const FULL_DISK = "Redis's disk is full";

export const REDIS_FAULTS: readonly FaultKind[] = [
  faultKind({
    kind: 'Redis killed',
    details: (random) => ({ ms: outage(random) }),
    async cause({ servers }, { ms }) {
      await servers.redis.primary().kill();
      await pause(ms);
      await servers.redis.primary().start();
    },
  }),
  faultKind({
    kind: 'Redis flushed',
    cause: async ({ servers }) => void (await servers.redis.primary().call('FLUSHALL')),
  }),
  faultKind({
    kind: 'Redis lost its schedule and nothing else',
    async cause({ servers }) {
      const keys = (await servers.redis.primary().call('KEYS', '*:due')) as string[];
      await servers.redis.primary().call('DEL', ...keys);
    },
  }),
  faultKind({
    kind: 'Redis back from an older snapshot',
    async cause({ servers }) {
      const redis = servers.redis.primary();
      await redis.call('SAVE');
      await pause(SNAPSHOT_AGE_MS);
      await redis.kill();
      await redis.start();
    },
  }),
  passingState(
    'Redis has too few replicas (NOREPLICAS)',
    [['CONFIG', 'SET', 'min-replicas-to-write', '2']],
    ['CONFIG', 'SET', 'min-replicas-to-write', '0'],
  ),
  passingState(
    'Redis is full (OOM)',
    [['CONFIG', 'SET', 'maxmemory', '1']],
    ['CONFIG', 'SET', 'maxmemory', '0'],
  ),
  passingState(
    'Redis wants a password (NOAUTH)',
    [
      ['ACL', 'SETUSER', 'default', 'resetpass', '>secret'],
      ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'],
    ],
    ['ACL', 'SETUSER', 'default', 'nopass'],
  ),
  passingState(
    'Redis permits no writes (NOPERM)',
    [['ACL', 'SETUSER', 'default', '-@write', '-@scripting']],
    ['ACL', 'SETUSER', 'default', '+@all'],
  ),
  faultKind({
    kind: FULL_DISK,
    details: (random) => ({ ms: 2_000 + random.below(2_500) }),
    async cause({ servers: { redis } }, { ms }) {
      const server = redis.primary();
      if (!redis.disk) return false;
      const dir = fs.mkdtempSync(path.join(redis.disk.dir, 'aof-'));
      await server.call('CONFIG', 'SET', 'dir', dir);
      await server.call('CONFIG', 'SET', 'appendonly', 'yes');
      await until('the append-only file to be written', async () =>
        /aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0/.test(
          String(await server.call('INFO', 'persistence')),
        ),
      );
      redis.disk.fill();
      const isRefused = until('Redis to refuse writes (MISCONF)', async () =>
        /aof_last_write_status:err/.test(String(await server.call('INFO', 'persistence'))),
      );
      await isRefused;
      await pause(ms);
      redis.disk.free();
      await server.call('CONFIG', 'SET', 'appendonly', 'no');
      await server.call('CONFIG', 'SET', 'dir', server.dir);
    },
  }),
  faultKind({
    kind: 'Redis fails over',
    cause: ({ servers }) => servers.redis.failOver(),
  }),
  faultKind({ kind: 'another installation on the same Redis', cause: shareRedis }),
];

/** It has a prefix and a database of its own, and an order with the id of one of ours. */
async function shareRedis({ fleet, servers, latestOrder }: Scene): Promise<void> {
  const services = [
    'order-service',
    'event-relay',
    'scheduler-worker',
    'processing-service',
    'query-service',
  ];
  const guest = await fleet.add(NEIGHBOUR, services, {
    DATABASE_URL: await servers.postgres.another(NEIGHBOUR),
    REDIS_PREFIX: NEIGHBOUR,
    KAFKA_PREFIX: `${NEIGHBOUR}.`,
    KAFKA_PARTITIONS: '1',
  });
  await until('the other installation to be ready', guest.isReady);
  const id = latestOrder();
  const body = JSON.stringify({ id, customer_name: 'Neighbour', total_price: 3 });
  const headers = { 'content-type': 'application/json' };
  const statusOf = async () =>
    ((await (await fetch(`${guest.url}/orders/${id}`)).json()) as { status?: string }).status;
  await until('its order to be completed', async () => {
    await fetch(`${guest.url}/orders`, { method: 'POST', headers, body });
    return (await statusOf()) === 'COMPLETED';
  });
  await fleet.remove(NEIGHBOUR);
}

/** Causes each fault of the plan; resolves when the fault is over. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { unreachable } from '../../internal/domain/errors.ts';
import { until } from '../support/until.ts';
import type { Fleet } from './fleet.ts';
import { POINTS } from './kill-points.ts';
import type { Fault } from './plan.ts';
import type { Servers } from './servers.ts';

/** How long a process may take to reach the point at which it is killed. */
const POINT_LIMIT_MS = 15_000;
const CUTTING_MS = 3_000;
const CLOCK_WRONG_MS = 5_000;
const SLOW_MS = 150;

export interface Scene {
  readonly fleet: Fleet;
  readonly servers: Servers;
}

/** False if the fault did not come about, such as a process that did not reach its point in time. */
export async function cause(fault: Fault, { fleet, servers }: Scene): Promise<boolean> {
  const member = (name: string) => fleet.members.get(name)!;
  const redis = () => servers.redis.primary();
  switch (fault.kind) {
    case 'process killed':
      member(fault.victim).signal('SIGKILL');
      return true;
    case 'process killed at a point':
      return member(fault.victim).killAt(POINTS[fault.point].call, fault.nth, POINT_LIMIT_MS);
    case 'process stopped past its lease':
      member(fault.victim).signal('SIGSTOP');
      await pause(fault.ms);
      member(fault.victim).signal('SIGCONT');
      return true;
    case 'members join and leave':
      for (let round = 1; round <= fault.rounds; round++) {
        const guest = await fleet.add('guest', fault.service);
        await until('the guest to be ready', guest.isReady);
        await fleet.remove('guest');
      }
      return true;
    case 'clock wrong by five minutes':
      await member(fault.victim).restart(fault.shiftMs);
      await until('the process to be ready', member(fault.victim).isReady);
      await pause(CLOCK_WRONG_MS);
      await member(fault.victim).restart(0);
      return true;
    case 'Postgres restarted':
      await servers.postgres.stop(fault.signal);
      await pause(fault.ms);
      await servers.postgres.start();
      return true;
    case 'Postgres read-only':
      await setReadOnly(servers.databaseUrl, true);
      await pause(fault.ms);
      await setReadOnly(servers.databaseUrl, false);
      return true;
    case 'connections cut after COMMIT':
      servers.proxies.postgres?.cutAfter(/commit\0|place-orders/i, fault.times);
      await pause(CUTTING_MS);
      servers.proxies.postgres?.cutAfter(undefined);
      return true;
    case 'Redis killed':
      await redis().kill();
      await pause(fault.ms);
      await redis().start();
      return true;
    case 'Redis flushed':
      await redis().call('FLUSHALL');
      return true;
    case 'Redis back from an older snapshot':
      await redis().call('SAVE');
      await pause(CUTTING_MS);
      await redis().kill();
      await redis().start();
      return true;
    case 'Redis refuses writes':
      await redis().call('CONFIG', 'SET', 'min-replicas-to-write', '2');
      await pause(fault.ms);
      await redis().call('CONFIG', 'SET', 'min-replicas-to-write', '0');
      return true;
    case 'Redis fails over':
      await servers.redis.failOver();
      return true;
    case 'Kafka killed':
      servers.kafka?.kill();
      await pause(fault.ms);
      await servers.kafka?.restart();
      return true;
    case 'network slow, then cut': {
      const proxy = servers.proxies[fault.peer];
      proxy?.delay(SLOW_MS);
      await pause(fault.ms);
      await proxy?.cut();
      proxy?.delay(0);
      await pause(fault.ms);
      await proxy?.restore();
      return true;
    }
    case 'network silent':
      servers.proxies[fault.peer]?.silence();
      return true;
    case 'duplicates on the stream':
      await repeatEvents(servers.databaseUrl, fault.events);
      return true;
    default:
      return unreachable(fault);
  }
}

async function onDatabase(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  await work(client).finally(() => client.end());
}

/** As a failover to a standby, and back: the open connections end. */
async function setReadOnly(url: string, on: boolean): Promise<void> {
  await onDatabase(url, async (client) => {
    await client.query('SET default_transaction_read_only = off');
    const name = client.escapeIdentifier(client.database ?? '');
    await client.query(
      on
        ? `ALTER DATABASE ${name} SET default_transaction_read_only = on`
        : `ALTER DATABASE ${name} RESET default_transaction_read_only`,
    );
    if (on)
      await client.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      );
  });
}

/** Appends the latest events once more; the stream may deliver each event any number of times (decision 10). */
async function repeatEvents(url: string, count: number): Promise<void> {
  await onDatabase(url, async (client) => {
    await client.query(
      `INSERT INTO events (event_id, event_type, order_id, topic, record, headers)
       SELECT event_id, event_type, order_id, topic, record, headers FROM events ORDER BY transaction_id DESC, position DESC LIMIT $1`,
      [count],
    );
    await client.query("SELECT pg_notify('tiffin_events', '')");
  });
}

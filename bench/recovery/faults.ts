/** The faults of servers: how each begins and ends, and what cannot work meanwhile. */
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../test/support/until.ts';
import type { Broker, Link, Servers } from './servers.ts';

export interface Fault {
  readonly name: string;
  /** The server that is away. */
  readonly away: 'postgres' | 'redis' | 'kafka';
  /** True if new connections work: there is no outage whose end could be waited for. */
  readonly isMoment?: true;
  /** The returned function ends the fault; it resolves when the server accepts again. */
  begin(servers: Servers, link: Link): Promise<() => Promise<unknown>>;
}

const nothing = async () => {};
const accepts = (servers: Servers) =>
  until('Postgres to accept', () =>
    servers.query('SELECT 1').then(
      () => true,
      () => false,
    ),
  );

async function setReadOnly(servers: Servers, on: boolean): Promise<void> {
  await servers.query(
    on
      ? 'ALTER DATABASE tiffin SET default_transaction_read_only = on'
      : 'ALTER DATABASE tiffin RESET default_transaction_read_only',
  );
  if (on)
    await servers.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'Postgres killed (SIGKILL)',
    away: 'postgres',
    async begin(servers) {
      await servers.postgres.kill();
      return async () => {
        await servers.postgres.start();
        await accepts(servers);
      };
    },
  },
  {
    name: 'Postgres shut down (fast)',
    away: 'postgres',
    async begin(servers) {
      await servers.postgres.kill('SIGINT');
      return async () => {
        await servers.postgres.start();
        await accepts(servers);
      };
    },
  },
  {
    name: 'Postgres read-only',
    away: 'postgres',
    async begin(servers) {
      await setReadOnly(servers, true);
      return () => setReadOnly(servers, false);
    },
  },
  {
    name: 'Postgres: open connections silent',
    away: 'postgres',
    isMoment: true,
    async begin(_, { postgres }) {
      postgres.silence();
      return nothing;
    },
  },
  {
    name: 'Postgres: all connections silent',
    away: 'postgres',
    async begin(_, { postgres }) {
      postgres.vanish();
      return async () => postgres.reappear(true);
    },
  },
  {
    name: 'Redis killed (SIGKILL)',
    away: 'redis',
    async begin(servers) {
      await servers.redis().kill();
      return () => servers.redis().start();
    },
  },
  {
    name: 'Redis stopped (SIGSTOP)',
    away: 'redis',
    async begin(servers) {
      servers.redis().freeze();
      return async () => {
        servers.redis().thaw();
        await pause(1);
      };
    },
  },
  {
    name: 'Redis: open connections silent',
    away: 'redis',
    isMoment: true,
    async begin(_, { redis }) {
      redis.silence();
      return nothing;
    },
  },
  {
    name: 'Redis: all connections silent',
    away: 'redis',
    async begin(_, { redis }) {
      redis.vanish();
      return async () => redis.reappear(true);
    },
  },
  {
    name: 'Redis refuses writes (NOREPLICAS)',
    away: 'redis',
    async begin(servers) {
      await servers.redis().call('CONFIG', 'SET', 'min-replicas-to-write', '2');
      return () => servers.redis().call('CONFIG', 'SET', 'min-replicas-to-write', '0');
    },
  },
  {
    name: 'Redis fails over behind one address',
    away: 'redis',
    begin: (servers) => servers.demoteRedis(),
  },
  {
    name: 'Kafka killed (SIGKILL)',
    away: 'kafka',
    async begin({ kafka }) {
      kafka?.broker.kill();
      return async () => kafka?.broker.restart();
    },
  },
  {
    name: 'Kafka stopped (SIGSTOP)',
    away: 'kafka',
    async begin({ kafka }) {
      const { pid } = (kafka as Broker).broker;
      process.kill(pid, 'SIGSTOP');
      return async () => process.kill(pid, 'SIGCONT');
    },
  },
  {
    name: 'Kafka: network cut',
    away: 'kafka',
    async begin({ kafka }) {
      await kafka?.proxy.cut();
      return async () => kafka?.proxy.restore();
    },
  },
  {
    name: 'Kafka: open connections silent',
    away: 'kafka',
    isMoment: true,
    async begin({ kafka }) {
      kafka?.proxy.silence();
      return nothing;
    },
  },
];

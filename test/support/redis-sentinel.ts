/** A primary, a replica and three Sentinels, which a test starts and may kill. */
import { type OwnRedis, startOwnRedis } from './own-redis.ts';
import { until } from './until.ts';

/** After this time without an answer a Sentinel takes a server for dead. */
const DOWN_AFTER_MS = 1_000;

export interface SentinelRedis {
  /** The URL for Tiffin. */
  readonly url: string;
  readonly servers: readonly OwnRedis[];
  /** The server that the Sentinels name as the primary. */
  primary(): Promise<OwnRedis>;
  stop(): Promise<void>;
}

export async function startSentinelRedis(): Promise<SentinelRedis> {
  const primary = await startOwnRedis();
  const replica = await startOwnRedis('--replicaof', '127.0.0.1', portOf(primary));
  const sentinels = await Promise.all([0, 1, 2].map(() => startSentinel(portOf(primary))));
  await until('the replica to be in step', async () =>
    String(await replica.call('INFO', 'replication')).includes('master_link_status:up'),
  );
  await until('the Sentinels to know each other and the replica', async () => {
    const states = await Promise.all(sentinels.map((one) => one.call('SENTINEL', 'MASTER', 'main')));
    return states.every((state) => {
      const fields = state as string[];
      const field = (name: string) => Number(fields[fields.indexOf(name) + 1]);
      return field('num-slaves') === 1 && field('num-other-sentinels') === 2;
    });
  });
  const servers = [primary, replica];
  const addresses = sentinels.map((one) => `127.0.0.1:${portOf(one)}`).join(',');
  return {
    url: `redis+sentinel://${addresses}/main`,
    servers,
    async primary() {
      const [, port] = (await sentinels[0]!.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main')) as string[];
      return servers.find((server) => portOf(server) === port)!;
    },
    async stop() {
      await Promise.all([...sentinels, ...servers].map((server) => server.stop()));
    },
  };
}

const portOf = (server: OwnRedis) => new URL(server.url).port;

async function startSentinel(port: string): Promise<OwnRedis> {
  const sentinel = await startOwnRedis('--sentinel');
  await sentinel.call('SENTINEL', 'MONITOR', 'main', '127.0.0.1', port, '2');
  await sentinel.call('SENTINEL', 'SET', 'main', 'down-after-milliseconds', String(DOWN_AFTER_MS));
  await sentinel.call('SENTINEL', 'SET', 'main', 'failover-timeout', '5000');
  return sentinel;
}

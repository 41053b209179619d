/** The kinds of Redis that views are stored in: each server of the test run, and a cluster. */
import { startRedisCluster } from './redis-cluster.ts';
import { freshRedis, redisServers } from './servers.ts';
import { hasNativeRedis } from './start-servers.ts';

export interface ViewServer {
  readonly url: string;
  drop(): Promise<void>;
}

export const CLUSTER = 'a Redis Cluster';

export function viewServers(): [name: string, start: () => Promise<ViewServer>][] {
  const single = redisServers().map(({ name }): [string, () => Promise<ViewServer>] => [
    name,
    () => freshRedis(name),
  ]);
  return hasNativeRedis() ? [...single, [CLUSTER, startCluster]] : single;
}

async function startCluster(): Promise<ViewServer> {
  const cluster = await startRedisCluster();
  return { url: cluster.url, drop: cluster.stop };
}

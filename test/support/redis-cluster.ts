/** A Redis Cluster of three primaries with a replica each, whose nodes and slots a test may kill and move. */
import { setTimeout as wait } from 'node:timers/promises';
import getPort from 'get-port';
import type { Cluster } from 'ioredis';
import { type OwnRedis, startOwnRedis } from './own-redis.ts';
import { until } from './until.ts';

const PRIMARIES = 3;
const SLOTS = 16_384;
/** After this time without an answer the others take a node for dead. */
const NODE_TIMEOUT_MS = 1_500;

export interface RedisCluster {
  /** The URL for Tiffin. */
  readonly url: string;
  readonly nodes: readonly OwnRedis[];
  /** The primary that holds the key's slot, as the others see it. */
  primaryOf(key: string): Promise<OwnRedis>;
  /** Moves the slot of a key to another primary; `between` is called before each key is moved, and at the end. */
  moveSlot(key: string, between?: () => Promise<unknown>): Promise<void>;
  stop(): Promise<void>;
}

/** A range of slots, and who holds it. */
type Range = [from: number, to: number, primary: [host: string, port: number]];

const portOf = (node: OwnRedis) => new URL(node.url).port;
const idOf = async (node: OwnRedis) => String(await node.call('CLUSTER', 'MYID'));

export async function startRedisCluster(): Promise<RedisCluster> {
  const nodes = await Promise.all(
    Array.from({ length: 2 * PRIMARIES }, async () => {
      const bus = await getPort({ host: '127.0.0.1' });
      const options = ['--cluster-enabled', 'yes', '--cluster-node-timeout', String(NODE_TIMEOUT_MS)];
      const node = await startOwnRedis(
        ...options,
        '--cluster-port',
        String(bus),
        '--repl-diskless-sync-delay',
        '0',
      );
      return Object.assign(node, { bus });
    }),
  );
  const [first, ...others] = nodes as [(typeof nodes)[number], ...typeof nodes];
  for (const other of others)
    await first.call('CLUSTER', 'MEET', '127.0.0.1', portOf(other), String(other.bus));
  const primaries = nodes.slice(0, PRIMARIES);
  for (const [index, primary] of primaries.entries()) {
    const start = (n: number) => Math.floor((SLOTS * n) / PRIMARIES);
    await primary.call('CLUSTER', 'ADDSLOTSRANGE', String(start(index)), String(start(index + 1) - 1));
  }
  const known = async (node: OwnRedis) =>
    String(await node.call('CLUSTER', 'NODES'))
      .trim()
      .split('\n');
  await until('the nodes to know each other', async () =>
    (await Promise.all(nodes.map(known))).every((lines) => lines.length === nodes.length),
  );
  for (const [index, replica] of nodes.slice(PRIMARIES).entries())
    await replica.call('CLUSTER', 'REPLICATE', await idOf(primaries[index] as OwnRedis));
  await until('the cluster to be whole, and its replicas in step', async () => {
    const states = await Promise.all(
      nodes.map(
        async (node) => `${await node.call('CLUSTER', 'INFO')} ${await node.call('INFO', 'replication')}`,
      ),
    );
    return (
      states.every((state) => state.includes('cluster_state:ok')) &&
      states.filter((state) => state.includes('master_link_status:up')).length === PRIMARIES
    );
  });

  /** Asks the first node that answers. */
  const slotOf = (key: string) =>
    Promise.any(nodes.map((node) => node.call('CLUSTER', 'KEYSLOT', key))).then(Number);

  async function primaryOf(key: string): Promise<OwnRedis> {
    const slot = await slotOf(key);
    const asked = await Promise.all(
      nodes.map(async (node) => ({
        slots: (await orNothing(node.call('CLUSTER', 'SLOTS'))) as Range[] | undefined,
        role: String(await orNothing(node.call('ROLE'))).split(',')[0],
      })),
    );
    for (const { slots = [] } of asked) {
      const range = slots.find(([from, to]) => from <= slot && slot <= to);
      const index = nodes.findIndex((one) => Number(portOf(one)) === range?.[2][1]);
      if (asked[index]?.role === 'master') return nodes[index] as OwnRedis;
    }
    throw new Error(`no node knows who has the slot of ${key}`);
  }

  return {
    url: `redis+cluster://${nodes.map((node) => `127.0.0.1:${portOf(node)}`).join(',')}`,
    nodes,
    primaryOf,
    async moveSlot(key, between = async () => {}) {
      const slot = String(await slotOf(key));
      const from = await primaryOf(key);
      const others = await Promise.all(['{s00}', '{s01}', '{s02}', '{s03}'].map(primaryOf));
      const to = others.find((node) => node !== from) as OwnRedis;
      const [fromId, toId] = await Promise.all([idOf(from), idOf(to)]);
      await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
      await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
      for (;;) {
        await between();
        const [next] = (await from.call('CLUSTER', 'GETKEYSINSLOT', slot, '1')) as string[];
        if (next === undefined) break;
        await from.call('MIGRATE', '127.0.0.1', portOf(to), next, '0', '5000');
      }
      for (const node of [to, from]) await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
    },
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

/** The answer of a node that may be dead; undefined if there is none soon. */
async function orNothing(answer: Promise<unknown>): Promise<unknown> {
  return Promise.race([answer.catch(() => undefined), wait(500, undefined, { ref: false })]);
}

/** Every key of the cluster that matches. */
export async function keysOf(cluster: Cluster, pattern: string): Promise<string[]> {
  return (await Promise.all(cluster.nodes('master').map((node) => node.keys(pattern)))).flat();
}

/** Gives a test file a Cassandra node of its own, or the reason why there is none. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CassandraNode, JARS, type NodeOptions, startCassandra } from '../../cmd/cassandra/node.ts';

export interface OwnCassandra extends CassandraNode {
  /** A URL with a keyspace that no other test uses. */
  url(): string;
}

/** The reason why tests start no node: CASSANDRA_TESTS is not set, or Cassandra is not available. */
export async function whyNoCassandra(): Promise<string | undefined> {
  const asked = process.env.CASSANDRA_TESTS;
  if (!asked || asked === '0')
    return 'set CASSANDRA_TESTS=1 to run the tests that need Cassandra (Java 17 and Maven)';
  const reason = await JARS.whyNot();
  if (reason && asked === 'required') throw new Error(`CASSANDRA_TESTS=required, and ${reason}`);
  return reason;
}

export async function startOwnCassandra(options: Omit<NodeOptions, 'dir'> = {}): Promise<OwnCassandra> {
  const dir = await mkdtemp(join(tmpdir(), 'tiffin-cassandra-'));
  const node = await startCassandra({ ...options, dir });
  return {
    ...node,
    url: () => `cassandra://${node.address}/test_${randomUUID().replaceAll('-', '')}?dc=datacenter1`,
    async stop() {
      node.signal('SIGCONT');
      await node.kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

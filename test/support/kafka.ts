/** Gives a test file a Kafka broker or a cluster of them, or the reason why there is none. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { freePort, HOST } from '../../cmd/java/jvm.ts';
import { JARS, type KafkaBroker, startKafka } from '../../cmd/kafka/broker.ts';

let shared: Promise<{ brokers: string } | { skip: string }> | undefined;

/**
 * The brokers at TEST_KAFKA_BROKERS, or else a broker of this process, which stops after its last test.
 * Call it at the top level of a test file. Others may share the broker: make topic and group names unique.
 */
export function kafkaForTests(): Promise<{ brokers: string } | { skip: string }> {
  shared ??= brokersOrSkip();
  return shared;
}

/** The reason why tests start no broker: KAFKA_TESTS is not set, or Kafka is not available. */
export async function whyNoKafka(): Promise<string | undefined> {
  const asked = process.env.KAFKA_TESTS;
  if (!asked || asked === '0')
    return 'set KAFKA_TESTS=1 to run the tests that need Kafka (Java 17 and Maven)';
  const reason = await JARS.whyNot();
  if (reason && asked === 'required') throw new Error(`KAFKA_TESTS=required, and ${reason}`);
  return reason;
}

async function brokersOrSkip(): Promise<{ brokers: string } | { skip: string }> {
  const given = process.env.TEST_KAFKA_BROKERS;
  if (given) return { brokers: given };
  const reason = await whyNoKafka();
  if (reason) return { skip: reason };
  const dir = await mkdtemp(join(tmpdir(), 'tiffin-kafka-'));
  const broker = await startKafka({ dir });
  after(async () => {
    await broker.stop();
    await rm(dir, { recursive: true, force: true });
  });
  return { brokers: broker.brokers };
}

export interface KafkaCluster {
  /** The value for KAFKA_BROKERS. */
  readonly brokers: string;
  readonly nodes: readonly KafkaBroker[];
  stop(): Promise<void>;
}

/** Three nodes, each a broker and a controller; records and offsets have three replicas, of which two must be in sync. */
export async function startKafkaCluster(): Promise<KafkaCluster> {
  const dir = await mkdtemp(join(tmpdir(), 'tiffin-kafka-cluster-'));
  const ids = [1, 2, 3];
  const ports: number[] = [];
  while (ports.length < 2 * ids.length) {
    const port = await freePort();
    if (!ports.includes(port)) ports.push(port);
  }
  const controllers = ports.slice(ids.length);
  const properties = {
    'controller.quorum.voters': ids.map((id) => `${id}@${HOST}:${controllers[id - 1]}`).join(),
    'default.replication.factor': 3,
    'min.insync.replicas': 2,
    'offsets.topic.replication.factor': 3,
    'transaction.state.log.replication.factor': 3,
    'transaction.state.log.min.isr': 2,
  };
  const nodes = await Promise.all(
    ids.map((id) =>
      startKafka({
        dir: join(dir, String(id)),
        port: ports[id - 1] as number,
        controllerPort: controllers[id - 1] as number,
        heapMb: 256,
        properties: { ...properties, 'node.id': id },
      }),
    ),
  );
  return {
    brokers: nodes.map(({ brokers }) => brokers).join(),
    nodes,
    async stop() {
      // A node waits for the others at its end, and nothing of them is needed any more.
      for (const node of nodes) node.kill();
      await Promise.all(nodes.map((node) => node.stop()));
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Gives a test file a Kafka broker, or the reason why there is none. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { JARS, startKafka } from '../../cmd/kafka/broker.ts';

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

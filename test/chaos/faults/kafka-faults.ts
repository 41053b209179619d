/** Faults of the Kafka broker. */
import { setTimeout as pause } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { type FaultKind, faultKind, outage } from '../fault.ts';
import { kafkaClient } from '../servers.ts';

const TOPICS = [
  'order.created',
  'order.ready',
  'raw.order-events',
  'raw.inventory-events',
  'raw.payment-events',
];
const COMPRESSED_MS = 2_000;
const TOPIC = kafkajs.ConfigResourceTypes.TOPIC;

export const KAFKA_FAULTS: readonly FaultKind[] = [
  faultKind({
    kind: 'Kafka killed',
    only: 'kafka',
    details: (random) => ({ ms: outage(random) }),
    async cause({ servers }, { ms }) {
      servers.kafka?.kill();
      await pause(ms);
      await servers.kafka?.restart();
    },
  }),
  faultKind({
    kind: 'Kafka stopped in good order',
    only: 'kafka',
    details: (random) => ({ ms: outage(random) }),
    async cause({ servers }, { ms }) {
      await servers.kafka?.stop();
      await pause(ms);
      await servers.kafka?.restart();
    },
  }),
  faultKind({
    kind: 'Kafka frozen',
    only: 'kafka',
    details: (random) => ({ ms: 4_000 + random.below(6_000) }),
    async cause({ servers }, { ms }) {
      process.kill(servers.kafka!.pid, 'SIGSTOP');
      await pause(ms);
      process.kill(servers.kafka!.pid, 'SIGCONT');
    },
  }),
  faultKind({
    kind: 'Kafka compresses its topics',
    only: 'kafka',
    details: (random) => ({ compression: random.oneOf(['gzip', 'snappy', 'lz4', 'zstd']) }),
    async cause({ servers }, { compression }) {
      const configEntries = [{ name: 'compression.type', value: compression }];
      const resources = TOPICS.map((name) => ({ type: TOPIC, name, configEntries }));
      const admin = kafkaClient(servers).admin();
      await admin.connect();
      await admin.alterConfigs({ validateOnly: false, resources }).finally(() => admin.disconnect());
      await pause(COMPRESSED_MS);
    },
  }),
];

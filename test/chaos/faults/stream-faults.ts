/** Faults of the stream itself: what it delivers, when, and how often. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { kafkaConsole } from '../../../cmd/topic/kafka.ts';
import { postgresConsole } from '../../../cmd/topic/postgres.ts';
import { hostileValues } from '../../support/hostile-records.ts';
import { type FaultKind, faultKind } from '../fault.ts';

/** Topics that Tiffin reads. */
const INBOUND = [
  'order.ready',
  'order_accepted',
  'raw.inventory-events',
  'raw.order-events',
  'raw.payment-events',
  'rider_assigned',
  'rider_request',
  'timers',
  'validated_orders',
];
const HOSTILE_TOPICS = 3;
const HOSTILE_EACH = 12;

/** Appends the latest events once more; the stream may deliver each event any number of times (decision 10). */
async function repeatEvents(url: string, count: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(
      `INSERT INTO events (event_id, event_type, order_id, topic, record, headers)
       SELECT event_id, event_type, order_id, topic, record, headers FROM events ORDER BY transaction_id DESC, position DESC LIMIT $1`,
      [count],
    );
    await client.query("SELECT pg_notify('tiffin_events', '')");
  } finally {
    await client.end();
  }
}

export const STREAM_FAULTS: readonly FaultKind[] = [
  faultKind({
    kind: 'duplicates on the stream',
    details: (random) => ({ events: 20 + random.below(60) }),
    cause: ({ servers }, { events }) => repeatEvents(servers.databaseUrl, events),
  }),
  faultKind({
    kind: 'records arrive late and out of order',
    details: (random) => ({ upToMs: 2_000 + random.below(3_000), forMs: 6_000 }),
    async cause({ fleet }, hold) {
      for (const member of fleet.members.values()) member.holdBack(hold);
      await pause(hold.forMs);
    },
  }),
  faultKind({
    kind: 'hostile records',
    details: (random) => ({
      topics: random.shuffled(INBOUND).slice(0, HOSTILE_TOPICS).join(' '),
      seed: random.below(2 ** 31),
    }),
    async cause({ servers }, { topics, seed }) {
      const stream = servers.kafka
        ? kafkaConsole([servers.kafka.brokers], () => ({}))
        : postgresConsole(servers.databaseUrl);
      for (const topic of topics.split(' '))
        for (const value of hostileValues(topic, HOSTILE_EACH, seed))
          await stream.produce(topic, 'ghost', value);
      await stream.close();
    },
  }),
];

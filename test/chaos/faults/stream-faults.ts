/** Faults of the stream itself: what it delivers, when, and how often. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { kafkaConsole } from '../../../cmd/topic/kafka.ts';
import { hostileValues } from '../../support/hostile-records.ts';
import { type FaultKind, faultKind } from '../fault.ts';
import type { Servers } from '../servers.ts';

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

type Statement = readonly [text: string, values: unknown[]];

/** Appends to the event log as others may, and wakes its readers. */
async function append(url: string, ...statements: readonly Statement[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    for (const [text, values] of statements) await client.query(text, values);
    await client.query("SELECT pg_notify('tiffin_events', '')");
  } finally {
    await client.end();
  }
}

/** Once more; the stream may deliver each event any number of times (decision 10). */
const LATEST_EVENTS = `
  INSERT INTO events (event_id, event_type, order_id, topic, record, headers)
  SELECT event_id, event_type, order_id, topic, record, headers FROM events
  WHERE topic IS NULL ORDER BY transaction_id DESC, position DESC LIMIT $1`;
const RECORD = "INSERT INTO events (event_type, order_id, topic, record) VALUES ('record', 'ghost', $1, $2)";

async function produce(servers: Servers, topic: string, values: readonly string[]): Promise<void> {
  if (!servers.kafka)
    return append(servers.databaseUrl, ...values.map((value): Statement => [RECORD, [topic, asJson(value)]]));
  const stream = kafkaConsole([servers.kafka.brokers], () => ({}));
  for (const value of values) await stream.produce(topic, 'ghost', value);
  await stream.close();
}

/** The text as JSON: as it is if it is JSON already, else as a string. */
function asJson(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}

export const STREAM_FAULTS: readonly FaultKind[] = [
  faultKind({
    kind: 'duplicates on the stream',
    details: (random) => ({ events: 20 + random.below(60) }),
    cause: ({ servers }, { events }) => append(servers.databaseUrl, [LATEST_EVENTS, [events]]),
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
      for (const topic of topics.split(' '))
        await produce(servers, topic, hostileValues(topic, HOSTILE_EACH, seed));
    },
  }),
];

/** Records of every shape on every inbound topic, on both streams: they pass or become dead letters, and orders go on. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import type { Producer } from 'kafkajs';
import pg from 'pg';
import { TOPICS } from '../../internal/domain/topics.ts';
import { kafkaClient } from '../contract/kafka-stream.ts';
import { hostileBytes, hostileValues } from '../support/hostile-records.ts';
import { kafkaForTests } from '../support/kafka.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

const INBOUND = [...new Set([...Object.values(TOPICS).flat(), 'validated_orders'])];
const EACH = 40;
const seed = randomInt(2 ** 31);

/** The text as JSON: as it is if it is JSON already, else as a string. */
function asJson(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}

interface Streamed {
  readonly program: Program;
  /** Puts the value on the topic; null keys and values where the stream has them. */
  produce(topic: string, values: readonly (string | Buffer | null)[]): Promise<void>;
  close(): Promise<void>;
}

async function onPostgres(): Promise<Streamed> {
  const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  const program = await startProgram({ DATABASE_URL: database.url, REDIS_URL: redis.url });
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  return {
    program,
    async produce(topic, values) {
      for (const value of values)
        await pool.query(
          "INSERT INTO events (event_type, order_id, topic, record) VALUES ('record', 'ghost-1', $1, $2)",
          [topic, asJson(value?.toString() ?? 'null')],
        );
    },
    async close() {
      await program.kill();
      await pool.end();
      await Promise.all([database.drop(), redis.drop()]);
    },
  };
}

async function onKafka(brokers: string): Promise<Streamed> {
  const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  const env = { DATABASE_URL: database.url, REDIS_URL: redis.url, KAFKA_BROKERS: brokers };
  const program = await startProgram(env);
  const producer: Producer = kafkaClient(brokers).producer();
  await producer.connect();
  return {
    program,
    async produce(topic, values) {
      for (const [n, value] of values.entries()) {
        const key = n % 5 === 0 ? null : n % 5 === 1 ? '\u0000\ud83d' : 'ghost-1';
        const headers = n % 3 === 0 ? { eventType: Buffer.from([0xff, 0]), 'x y': ['a', 'b'] } : {};
        await producer.send({ topic, messages: [{ key, value, headers }] });
      }
    },
    async close() {
      await producer.disconnect();
      await program.kill();
      await Promise.all([database.drop(), redis.drop()]);
    },
  };
}

const kafka = await kafkaForTests();
const streams: [string, string | false, () => Promise<Streamed>][] = [
  ['Postgres', false, onPostgres],
  ['Kafka', 'skip' in kafka ? kafka.skip : false, () => onKafka('skip' in kafka ? '' : kafka.brokers)],
];

for (const [name, skip, open] of streams)
  describe(`hostile records on ${name}`, { skip }, () => {
    it(`${EACH} hostile records on each topic stop no consumer, and no order waits behind them (seed ${seed})`, {
      timeout: 300_000,
    }, async () => {
      const stream = await open();
      const { program } = stream;
      try {
        let produced = 0;
        for (const topic of INBOUND) {
          const values = [...hostileValues(topic, EACH, seed), null];
          const bytes = name === 'Kafka' ? hostileBytes(10, seed) : [];
          await stream.produce(topic, [...values, ...bytes]);
          produced += values.length + bytes.length;
        }
        const items = { restaurantId: 'REST-456', items: [{ itemId: 'PIZZA-001', quantity: 1 }] };
        const address = { street: '1 Main St', city: 'Springfield', state: 'IL', zipCode: '62701' };
        await request('POST', `${program.url}/orders`, { id: 'plain', customer_name: 'A', total_price: 5 });
        await reaches(program.url, 'plain', 'COMPLETED');
        const { body } = await request('POST', `${program.url}/v1/orders`, {
          customerId: 'c-1',
          ...items,
          deliveryAddress: address,
          paymentToken: 'tok_visa',
        });
        const path = `${program.url}/v1/restaurants/REST-456/orders/${body.orderId}`;
        const answer = { action: 'ACCEPT', estimatedReadyTime: new Date(Date.now() + 60_000).toISOString() };
        await until(
          'the restaurant to accept',
          async () => (await request('POST', path, answer)).status === 200,
        );
        const view = await until('a rider to be assigned', async () => {
          const { body: order } = await request('GET', `${program.url}/v1/orders/${body.orderId}`);
          return order.status === 'RIDER_ASSIGNED' ? order : undefined;
        });
        assert.ok(view);
        await until('every consumer to have no fault', async () => {
          const ready = await request('GET', `${program.url}/readyz`);
          return ready.body.checks.stream === 'ok';
        });
        const errors = program.log.filter(({ level }) => level === 'error' || level === 'fatal');
        assert.ok(errors.length <= produced, `${errors.length} errors for ${produced} records`);
        assert.deepEqual([...new Set(errors.map(({ msg, err }) => `${msg} ${JSON.stringify(err)}`))], []);
        const letters = await request('GET', `${program.url}/admin/dlq`);
        assert.ok(JSON.stringify(letters.body).length > 1_000, 'there are dead letters');
        const figures = await (await fetch(`${program.url}/metrics`)).text();
        for (const figure of ['open_dead_letters', 'dead_letters_total'])
          assert.match(figures, new RegExp(`^tiffin_${figure}\\{consumer="[a-z.-]+"\\} [1-9]`, 'm'), figure);
      } finally {
        await stream.close();
      }
    });
  });

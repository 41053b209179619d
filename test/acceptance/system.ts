/** Runs Tiffin for acceptance tests, with access to its API, topics, Redis, database and notifications. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import pg from 'pg';
import { ALL_TOPICS } from '../../internal/domain/topics.ts';
import { openPool } from '../../internal/repository/postgres/database.ts';
import { CHANNEL } from '../../internal/repository/postgres/stream/leader-session.ts';
import { postgresTopicLog } from '../../internal/repository/postgres/stream/topic-log.ts';
import { BEGINNING } from '../../internal/service/ports.ts';
import { type Answer, type Program, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests read records and bodies of any shape
export type Json = any;

export interface System {
  readonly redis: Redis;
  readonly database: pg.Client;
  readonly program: Program;
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Repeats the GET until its body satisfies `isWanted`; `what` names the condition in the error. */
  eventually(what: string, path: string, isWanted: (body: Json) => boolean): Promise<Answer>;
  produce(topic: string, record: unknown): Promise<void>;
  /** Waits until `count` records, read from the beginning of the topic, satisfy `isWanted`. */
  records(topic: string, isWanted: (record: Json) => boolean, count?: number): Promise<Json[]>;
  /** The headers of the first record on a topic. */
  headers(topic: string): Promise<Record<string, string>>;
  /** The messages that the notification provider received. */
  readonly messages: Json[];
  stop(): Promise<void>;
}

export async function startSystem(env: Record<string, string> = {}): Promise<System> {
  const [postgres, cache, provider] = await Promise.all([freshDatabase(), freshRedis(), startProvider()]);
  const settings = {
    DATABASE_URL: postgres.url,
    REDIS_URL: cache.url,
    NOTIFICATION_URL: provider.url,
    ETA_REFRESH_MS: '500',
    ...env,
  };
  const program = await startProgram(settings);
  const redis = new Redis(cache.url);
  const database = new pg.Client({ connectionString: postgres.url });
  await database.connect();
  const topics = env.KAFKA_BROKERS ? await kafkaTopics(env.KAFKA_BROKERS) : postgresTopics(postgres.url);
  const ask: System['ask'] = (method, path, body, headers) =>
    request(method, `${program.url}${path}`, body, headers);

  return {
    redis,
    database,
    program,
    ask,
    messages: provider.messages,
    eventually: (what, path, isWanted) =>
      until(what, async () => {
        const answer = await ask('GET', path);
        return answer.status === 200 && isWanted(answer.body) ? answer : undefined;
      }),
    produce: (name, record) =>
      topics.produce(name, typeof record === 'string' ? record : JSON.stringify(record)),
    records: (name, isWanted, count = 1) =>
      until(`${count} records on ${name}`, async () => {
        const wanted = (await topics.read(name))
          .map(({ record }) => record)
          .filter((record) => record && isWanted(record));
        return wanted.length >= count ? wanted : undefined;
      }),
    headers: (name) => until(`a record on ${name}`, async () => (await topics.read(name))[0]?.headers),
    async stop() {
      await program.stop();
      await topics.close();
      redis.disconnect();
      await database.end();
      await Promise.all([postgres.drop(), cache.drop(), provider.stop()]);
    },
  };
}

interface Topics {
  /** All records that are on the topic now. */
  read(topic: string): Promise<readonly { record: Json; headers: Record<string, string> }[]>;
  produce(topic: string, text: string): Promise<void>;
  close(): Promise<void>;
}

function postgresTopics(url: string): Topics {
  const pool = openPool(url, { max: 2, onError: () => {} });
  const log = postgresTopicLog(pool, () => void pool.query(`NOTIFY ${CHANNEL}`));
  return {
    async read(topic) {
      const { records } = await log.read(topic, BEGINNING, 100_000);
      const { rows } = await pool.query('SELECT headers FROM events WHERE topic = $1 ORDER BY position', [
        topic,
      ]);
      return records.map((record, n) => ({ record, headers: rows[n]?.headers ?? {} }));
    },
    async produce(topic, text) {
      await log.produce(topic, [{ key: '', value: parsed(text) }]);
    },
    close: () => pool.end(),
  };
}

async function kafkaTopics(brokers: string): Promise<Topics> {
  const kafka = new Kafka({
    clientId: 'acceptance',
    brokers: brokers.split(','),
    logLevel: logLevel.NOTHING,
  });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  const admin = kafka.admin();
  await admin.connect();
  await until('every topic to exist', async () => {
    const known = await admin.listTopics();
    return ALL_TOPICS.every((topic) => known.includes(topic));
  });
  await admin.disconnect();
  const consumer = kafka.consumer({ groupId: 'acceptance', maxWaitTimeInMs: 100 });
  await Promise.all([producer.connect(), consumer.connect()]);
  await consumer.subscribe({ topics: ALL_TOPICS.slice(), fromBeginning: true });
  const seen: { topic: string; record: Json; headers: Record<string, string> }[] = [];
  await consumer.run({
    eachMessage: async ({ topic, message }) => {
      const headers = Object.fromEntries(
        Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
      );
      seen.push({ topic, record: parsed(message.value?.toString() ?? 'null'), headers });
    },
  });
  return {
    read: async (name) => seen.filter(({ topic }) => topic === name),
    async produce(topic, value) {
      await producer.send({ topic, messages: [{ key: null, value }] });
    },
    async close() {
      await Promise.all([consumer.disconnect(), producer.disconnect()]);
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function startProvider() {
  const messages: Json[] = [];
  const server = createServer(async (incoming, answer) => {
    let text = '';
    for await (const chunk of incoming) text += chunk;
    messages.push(JSON.parse(text));
    answer.writeHead(202).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/messages`,
    messages,
    async stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A console for the stream of a running Tiffin, on Kafka or on Postgres: lists, consumes and produces records, one JSON a line. */
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { ALL_TOPICS } from '../internal/domain/topics.ts';
import { openPool } from '../internal/repository/postgres/database.ts';
import { CHANNEL } from '../internal/repository/postgres/stream/leader-session.ts';
import { postgresTopicLog } from '../internal/repository/postgres/stream/topic-log.ts';
import { BEGINNING } from '../internal/service/ports.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { findRunning } from './embedded/servers.ts';

const USAGE = `Usage: npm run topic -- <command>

  list                                     the topics
  consume <topic> [--from-beginning] [--count N]
                                           prints records as they come, one JSON a line, until Ctrl-C or N of them
  produce <topic> ['<json>'] [--key K]     puts a record on a topic; without one, each line of standard input
`;
const PAGE = 500;
const POLL_MS = 200;

/** What both streams can do for the console. */
interface TopicConsole {
  list(): Promise<readonly string[]>;
  /** Calls back with each record in turn; ends when it answers false. */
  consume(topic: string, fromBeginning: boolean, take: (record: string) => boolean): Promise<void>;
  produce(topic: string, key: string, value: string): Promise<void>;
  close(): Promise<void>;
}

function kafkaConsole(brokers: readonly string[]): TopicConsole {
  const kafka = new Kafka({ clientId: 'tiffin-topic', brokers: [...brokers], logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  let connected: Promise<void> | undefined;
  return {
    async list() {
      const admin = kafka.admin();
      await admin.connect();
      const topics = await admin.listTopics();
      await admin.disconnect();
      return topics.filter((topic) => !topic.startsWith('__')).sort();
    },
    async consume(topic, fromBeginning, take) {
      const groupId = `tiffin-topic-${process.pid}-${Date.now()}`;
      const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: POLL_MS });
      await consumer.connect();
      await consumer.subscribe({ topics: [topic], fromBeginning });
      await new Promise<void>((resolve, reject) => {
        let wanted = true;
        consumer.on('consumer.crash', ({ payload }) => !payload.restart && reject(payload.error));
        const eachMessage = async ({ message }: { message: { value: Buffer | null } }) => {
          wanted &&= take(message.value?.toString() ?? 'null');
          if (!wanted) resolve();
        };
        consumer.run({ eachMessage }).catch(reject);
      });
      await consumer.disconnect();
      const admin = kafka.admin();
      await admin.connect();
      await admin.deleteGroups([groupId]).catch(() => {});
      await admin.disconnect();
    },
    async produce(topic, key, value) {
      connected ??= producer.connect();
      await connected;
      await producer.send({ topic, messages: [{ key: key || null, value }] });
    },
    close: () => producer.disconnect(),
  };
}

function postgresConsole(databaseUrl: string): TopicConsole {
  const pool = openPool(databaseUrl, { max: 2, onError: () => {} });
  const log = postgresTopicLog(pool, () => {});
  return {
    list: async () => ALL_TOPICS,
    async consume(topic, fromBeginning, take) {
      let place = fromBeginning ? BEGINNING : await log.end();
      for (;;) {
        const page = await log.read(topic, place, PAGE);
        for (const record of page.records) if (!take(JSON.stringify(record))) return;
        place = page.to;
        if (page.records.length < PAGE) await pause(POLL_MS);
      }
    },
    async produce(topic, key, value) {
      await log.produce(topic, [{ key, value: parsed(value) }]);
      // The readers of the running Tiffin look at once.
      await pool.query(`NOTIFY ${CHANNEL}`);
    },
    close: () => pool.end(),
  };
}

/** As on a broker, whatever was typed is put on the topic; a consumer makes a dead letter of what is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function open(config: Config): Promise<TopicConsole> {
  if (config.KAFKA_BROKERS) return kafkaConsole(config.KAFKA_BROKERS);
  const databaseUrl = config.DATABASE_URL ?? (await findRunning(config.DATA_DIR))?.databaseUrl;
  if (!databaseUrl) {
    throw new ConfigError(
      `No Tiffin is running on DATA_DIR '${config.DATA_DIR}'; start one, or set DATABASE_URL or KAFKA_BROKERS as it has them.`,
    );
  }
  return postgresConsole(databaseUrl);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'from-beginning': { type: 'boolean', default: false },
      count: { type: 'string' },
      key: { type: 'string', default: '' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const [command, topic, json] = positionals;
  if (values.help || !command) return void process.stdout.write(USAGE);
  if (!['list', 'consume', 'produce'].includes(command))
    throw new ConfigError(`There is no command '${command}'.\n\n${USAGE}`);
  if (command !== 'list' && !topic) throw new ConfigError(`Which topic? npm run topic -- list shows them.`);
  const count = values.count === undefined ? Number.POSITIVE_INFINITY : Number(values.count);
  if (!(count >= 1))
    throw new ConfigError(`--count must be a whole number from 1, and it is '${values.count}'.`);

  const console = await open(readConfig(process.env));
  if (command === 'list') {
    for (const name of await console.list()) process.stdout.write(`${name}\n`);
  } else if (command === 'consume' && topic) {
    let left = count;
    await console.consume(topic, values['from-beginning'], (record) => {
      process.stdout.write(`${record}\n`);
      left -= 1;
      return left > 0;
    });
  } else if (topic) {
    const lines = json === undefined ? createInterface({ input: process.stdin }) : [json];
    for await (const line of lines) if (line.trim()) await console.produce(topic, values.key, line);
  }
  await console.close();
}

process.stdout.on('error', () => process.exit(0));
main().catch((error: Error & { code?: string }) => {
  const isOurs = error instanceof ConfigError || error.code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`topic: ${isOurs ? error.message : error.stack}\n`);
  process.exit(1);
});

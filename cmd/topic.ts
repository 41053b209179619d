/** A console for the stream of a running Tiffin: lists topics, consumes and produces records as lines of JSON. */
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { ALL_TOPICS } from '../internal/domain/topics.ts';
import { kafkaAccessOf } from './config/kafka-access.ts';
import { type Config, loadEnvFile, readConfig } from './config.ts';
import { holderOf } from './embedded/lock.ts';
import { choosePlace } from './embedded/place.ts';
import { ConfigError, describeFault } from './faults.ts';
import type { TopicConsole } from './topic/console.ts';

const USAGE = `Usage: npm run topic -- <command>

  list                                     the topics
  consume <topic> [--from-beginning] [--count N]
                                           prints records as they arrive, one JSON value a line, until Ctrl-C or N records
  produce <topic> ['<json>'] [--key K]     puts a record on a topic; without <json>, each line of standard input
`;

/** On Postgres the topics are the same in every Tiffin. */
async function listTopics(config: Config): Promise<readonly string[]> {
  if (!config.KAFKA_BROKERS) return ALL_TOPICS;
  const console = await openKafka(config, config.KAFKA_BROKERS);
  const topics = await console.list();
  await console.close();
  return topics;
}

// Imports only the stream in use, because loading modules takes most of the time of a short command.
async function openKafka(config: Config, brokers: readonly string[]) {
  const { kafkaConsole } = await import('./topic/kafka.ts');
  return kafkaConsole(brokers, kafkaAccessOf(config), config.KAFKA_PREFIX);
}

async function open(config: Config): Promise<TopicConsole> {
  if (config.KAFKA_BROKERS) return openKafka(config, config.KAFKA_BROKERS);
  const databaseUrl =
    config.DATABASE_DIRECT_URL ??
    config.DATABASE_URL ??
    databaseOfRunning(choosePlace(config.DATA_DIR).dataDir);
  return (await import('./topic/postgres.ts')).postgresConsole(databaseUrl);
}

function databaseOfRunning(dataDir: string): string {
  const databaseUrl = holderOf(dataDir)?.databaseUrl;
  if (databaseUrl) return databaseUrl;
  throw new ConfigError(
    `No Tiffin is running on the data directory ${dataDir}; start one, or set DATA_DIR, DATABASE_URL or KAFKA_BROKERS to its values.`,
  );
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
  if (command !== 'list' && !topic) throw new ConfigError(`Name a topic; npm run topic -- list shows them.`);
  const count = values.count === undefined ? Number.POSITIVE_INFINITY : Number(values.count);
  if (!(count >= 1))
    throw new ConfigError(`--count must be a whole number from 1, and it is '${values.count}'.`);

  loadEnvFile();
  const config = readConfig(process.env);
  if (command === 'list') {
    for (const name of await listTopics(config)) process.stdout.write(`${name}\n`);
    return;
  }
  const console = await open(config);
  if (command === 'consume' && topic) {
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
  const isOurs = error.code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`topic: ${isOurs ? error.message : describeFault(error)}\n`);
  process.exit(1);
});

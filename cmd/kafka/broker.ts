/** Runs one Apache Kafka broker as a child process, from its Maven jars, for development and tests. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Kafka, logLevel } from 'kafkajs';
import { jarsOf, java, run } from '../java/jars.ts';
import { boot, end, freePort, HOST, isTaken } from '../java/jvm.ts';
import { type Listeners, serverProperties } from './properties.ts';

export const JARS = jarsOf('Kafka', new URL('pom.xml', import.meta.url));

export interface KafkaBroker {
  /** `host:port`, the value for KAFKA_BROKERS. */
  readonly brokers: string;
  /** Process id of the running JVM; changes with `restart`. */
  readonly pid: number;
  /** Kills the broker with SIGKILL, to simulate a crash. */
  kill(): void;
  /** Restarts the broker on the same port and data, stopping it first if it runs; resolves when it serves. */
  restart(): Promise<void>;
  /** Stops the broker gracefully; the data stays. May be called more than once. */
  stop(): Promise<void>;
}

export interface KafkaOptions {
  /** Folder for data, configuration and `broker.log`. One broker at a time may use it. */
  dir: string;
  /** Port on 127.0.0.1; a free one by default. */
  port?: number;
  onEvent?: (msg: string) => void;
  /** Listeners beside the one without TLS and login: name to protocol, such as SASL_SSL, and port. */
  listeners?: Listeners;
  /** Passwords of users who log in with SCRAM, in a new folder. */
  scramUsers?: Readonly<Record<string, string>>;
  /** Further settings of the broker. */
  properties?: Readonly<Record<string, string | number>>;
}

const LOG_CONFIG = fileURLToPath(new URL('log4j2.xml', import.meta.url));
const CLUSTER_ID = Buffer.from('tiffin-one-node.').toString('base64url');

/** Starts a broker and resolves when it serves. The broker ends with this process, even if this process is killed. */
export async function startKafka(options: KafkaOptions): Promise<KafkaBroker> {
  const onEvent = options.onEvent ?? (() => {});
  if (!JARS.isCached()) onEvent('downloading Kafka with Maven; this happens once');
  const reason = await JARS.whyNot();
  if (reason) throw new Error(reason);
  return open(options, onEvent);
}

async function open(options: KafkaOptions, onEvent: (msg: string) => void): Promise<KafkaBroker> {
  const { dir, port: requestedPort, listeners = {}, scramUsers = {} } = options;
  if (requestedPort !== undefined && (await isTaken(requestedPort)))
    throw new Error(`port ${requestedPort} is taken`);
  const port = requestedPort ?? (await freePort());
  await mkdir(dir, { recursive: true });
  const config = join(dir, 'server.properties');
  const properties = serverProperties({
    dir,
    port,
    controllerPort: await freePort(port),
    listeners,
    further: options.properties ?? {},
  });
  await writeFile(config, properties);
  const classPath = JARS.classPath();
  if (!existsSync(join(dir, 'metadata', 'meta.properties'))) {
    const format = [...classPath, `-Dlog4j2.configurationFile=${LOG_CONFIG}`, 'kafka.tools.StorageTool'];
    const users = Object.entries(scramUsers).flatMap(([name, password]) =>
      ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
        '--add-scram',
        `${mechanism}=[name=${name},password=${password}]`,
      ]),
    );
    await run(java(), [...format, 'format', '-t', CLUSTER_ID, '-c', config, ...users]);
  }
  const command = [
    ...['-Xms256m', '-Xmx512m', '-XX:+UseSerialGC', '-Djava.awt.headless=true'],
    ...[...classPath, `-Dlog4j2.configurationFile=${LOG_CONFIG}`, 'kafka.Kafka', config],
  ];
  const log = join(dir, 'broker.log');
  const start = async () => {
    await writeFile(config, properties); // Before every start: another process may have overwritten the file.
    return boot({ name: 'Kafka', command, log, port, onEvent, serves: () => serves(port) });
  };
  let jvm = await start();
  return {
    brokers: `${HOST}:${port}`,
    get pid() {
      return jvm.pid;
    },
    kill: () => jvm.signal('SIGKILL'),
    restart: async () => {
      await end(jvm);
      jvm = await start();
    },
    stop: () => end(jvm),
  };
}

/** True if the broker answers and has joined its own cluster; from then on it can create topics. */
async function serves(port: number): Promise<boolean> {
  if (!(await isTaken(port))) return false;
  const client = new Kafka({
    brokers: [`${HOST}:${port}`],
    connectionTimeout: 1_000,
    requestTimeout: 1_000,
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
  });
  const admin = client.admin();
  try {
    await admin.connect();
    return (await admin.describeCluster()).brokers.length > 0;
  } catch {
    return false;
  } finally {
    await admin.disconnect();
  }
}

/** Runs one Apache Kafka broker as a child process, from its Maven jars, for development and tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Kafka, logLevel } from 'kafkajs';
import { JARS, java, kafkaAvailable, run } from './jars.ts';
import { HOST, type Listeners, serverProperties } from './properties.ts';

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

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 15_000;
const LOG_LIMIT_BYTES = 10_000_000;
const LOG_CONFIG = fileURLToPath(new URL('log4j2.xml', import.meta.url));
const CLUSTER_ID = Buffer.from('tiffin-one-node.').toString('base64url');

/** Starts a broker and resolves when it serves. The broker ends with this process, even if this process is killed. */
export async function startKafka(options: KafkaOptions): Promise<KafkaBroker> {
  const onEvent = options.onEvent ?? (() => {});
  if (!existsSync(JARS)) onEvent('downloading Kafka with Maven; this happens once');
  const reason = await kafkaAvailable();
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
  const jars = (await readdir(JARS)).filter((name) => name.endsWith('.jar')).sort();
  const classPath = ['-cp', jars.map((name) => join(JARS, name)).join(':')];
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
    ...['-Xms256m', '-Xmx512m', '-XX:+UseG1GC', '-Djava.awt.headless=true'],
    ...[...classPath, `-Dlog4j2.configurationFile=${LOG_CONFIG}`, 'kafka.Kafka', config],
  ];
  const log = join(dir, 'broker.log');
  if (existsSync(log) && statSync(log).size > LOG_LIMIT_BYTES) await rename(log, `${log}.old`);

  const start = async () => {
    await writeFile(config, properties); // Before every start: another process may have overwritten the file.
    return boot(command, log, port, onEvent);
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

interface Jvm {
  pid: number;
  signal(name: NodeJS.Signals): void;
  /** Resolves with the exit code or signal, as text. */
  exited: Promise<string>;
}

async function boot(
  command: string[],
  log: string,
  port: number,
  onEvent: (msg: string) => void,
): Promise<Jvm> {
  const startedAt = performance.now();
  const logStart = existsSync(log) ? statSync(log).size : 0;
  const jvm = await launch(command, log);
  let exit: string | undefined;
  jvm.exited.then((status) => {
    exit = status;
    onEvent(`Kafka (pid ${jvm.pid}) ended: ${status}`);
  });
  while (!(await serves(port))) {
    const late = performance.now() - startedAt > START_LIMIT_MS;
    if (exit === undefined && !late) {
      await delay(25);
      continue;
    }
    jvm.signal('SIGKILL');
    const reason = exit ? `it ended: ${exit}` : `it did not serve within ${START_LIMIT_MS / 1000} s`;
    await jvm.exited;
    throw new Error(`Kafka did not start, ${reason}. From ${log}:\n${await excerpt(log, logStart)}`);
  }
  onEvent(
    `Kafka (pid ${jvm.pid}) serves on ${HOST}:${port} after ${Math.round(performance.now() - startedAt)} ms`,
  );
  return jvm;
}

/** 25 lines of the log after byte `start`: from the first error on, or the last ones if there is no error. */
async function excerpt(log: string, start: number): Promise<string> {
  const lines = (await readFile(log)).subarray(start).toString().trimEnd().split('\n');
  const error = lines.findIndex((line) => / (ERROR|FATAL) |^Error:|^Exception/.test(line));
  return (error < 0 ? lines.slice(-25) : lines.slice(error, error + 25)).join('\n');
}

/**
 * Starts the JVM and a guard: a shell that reads from a pipe of this process. When this process ends, even by SIGKILL,
 * the pipe closes and the shell kills the JVM.
 */
async function launch(command: string[], log: string): Promise<Jvm> {
  const output = openSync(log, 'a');
  // Detached, so that Ctrl-C in a terminal reaches only this process, which then stops the broker gracefully.
  const child: ChildProcess = spawn(java(), command, { stdio: ['ignore', output, output], detached: true });
  closeSync(output);
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  const pid = child.pid!;
  const guard = spawn('/bin/sh', ['-c', 'read -r line; kill -9 "$0"', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.on('error', () => child.kill('SIGKILL'));
  guard.unref();
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      guard.kill('SIGKILL'); // Before closing its pipe: the guard could kill another process that reuses the pid.
      guard.stdin.destroy();
      resolve(signal ?? `exit code ${code}`);
    });
  });
  return { pid, exited, signal: (name) => child.kill(name) };
}

async function end(jvm: Jvm): Promise<void> {
  jvm.signal('SIGTERM');
  const timer = setTimeout(() => jvm.signal('SIGKILL'), STOP_LIMIT_MS);
  await jvm.exited;
  clearTimeout(timer);
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

/**
 * A free port below the range for outgoing connections (32768 and up on Linux). From that range, a client that retries
 * while the broker is down could be given the broker's own port.
 */
export async function freePort(except?: number): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (port !== except && !(await isTaken(port))) return port;
  }
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

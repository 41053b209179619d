/** Runs one Apache Cassandra node as a child process, from its Maven jars, for development and tests. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jarsOf } from '../java/jars.ts';
import { boot, end, freePort, HOST, isTaken } from '../java/jvm.ts';
import { jvmOptions, nodeSettings } from './settings.ts';

export const JARS = jarsOf('Cassandra', new URL('pom.xml', import.meta.url));
const LOG_CONFIG = fileURLToPath(new URL('logback.xml', import.meta.url));

export interface CassandraNode {
  /** `host:port` for clients. */
  readonly address: string;
  signal(name: NodeJS.Signals): void;
  /** Kills the node with SIGKILL; resolves when it has ended. */
  kill(): Promise<void>;
  /** Restarts the node on the same port and data, stopping it first if it runs; resolves when it serves. */
  restart(): Promise<void>;
  /** Stops the node gracefully; the data stays. May be called more than once. */
  stop(): Promise<void>;
}

export interface NodeOptions {
  /** Folder for data, configuration and `cassandra.log`. One node at a time may use it. */
  readonly dir: string;
  /** Port on 127.0.0.1; a free one by default. */
  readonly port?: number;
  readonly login?: boolean;
  readonly keyAndCertificate?: string;
  readonly onEvent?: (msg: string) => void;
}

/** Starts a node and resolves when it serves. The node ends with this process, even if this process is killed. */
export async function startCassandra(options: NodeOptions): Promise<CassandraNode> {
  const { onEvent = () => {}, login = false } = options;
  if (!JARS.isCached()) onEvent('downloading Cassandra with Maven; this happens once');
  const reason = await JARS.whyNot();
  if (reason) throw new Error(reason);
  if (options.port !== undefined && (await isTaken(options.port)))
    throw new Error(`port ${options.port} is taken`);
  const dir = resolve(options.dir);
  const port = options.port ?? (await freePort());
  const config = join(dir, 'cassandra.yaml');
  await mkdir(dir, { recursive: true });
  await writeFile(config, nodeSettings({ ...options, dir, port, login, storagePort: await freePort(port) }));
  const command = [
    ...jvmOptions(config, LOG_CONFIG, dir),
    ...JARS.classPath(),
    'org.apache.cassandra.service.CassandraDaemon',
  ];
  // Clients are listened for last, so that one that can connect is served.
  const serves = () => isTaken(port);
  const start = () =>
    boot({ name: 'Cassandra', command, log: join(dir, 'cassandra.log'), port, onEvent, serves });
  let jvm = await start();
  return {
    address: `${HOST}:${port}`,
    signal: (name) => jvm.signal(name),
    async kill() {
      jvm.signal('SIGKILL');
      await jvm.exited;
    },
    async restart() {
      await end(jvm);
      jvm = await start();
    },
    stop: () => end(jvm),
  };
}

/** The settings of the broker for development and tests: one node, both broker and controller. */
import { join } from 'node:path';
import { HOST } from '../java/jvm.ts';

/** Listener name to its protocol and port. */
export type Listeners = Readonly<
  Record<string, { readonly protocol: string; readonly port: number; readonly advertisedPort?: number }>
>;

interface Shape {
  readonly dir: string;
  readonly port: number;
  readonly controllerPort: number;
  readonly listeners: Listeners;
  readonly further: Readonly<Record<string, string | number>>;
}

/** The text of `server.properties`. */
export function serverProperties({ dir, port, controllerPort, listeners, further }: Shape): string {
  const named = Object.entries(listeners).map(([name, { port }]) => `${name}://${HOST}:${port}`);
  const advertised = Object.entries(listeners).map(
    ([name, { port, advertisedPort = port }]) => `${name}://${HOST}:${advertisedPort}`,
  );
  const protocols = Object.entries(listeners).map(([name, { protocol }]) => `${name}:${protocol}`);
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${HOST}:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: [`PLAINTEXT://${HOST}:${port}`, `CONTROLLER://${HOST}:${controllerPort}`, ...named].join(),
    'advertised.listeners': [`PLAINTEXT://${HOST}:${port}`, ...advertised].join(),
    'listener.security.protocol.map': ['PLAINTEXT:PLAINTEXT', 'CONTROLLER:PLAINTEXT', ...protocols].join(),
    'log.dirs': join(dir, 'data'),
    // Separate from the data: only then does Kafka lock it, which keeps a second broker from using this folder.
    'metadata.log.dir': join(dir, 'metadata'),
    'num.partitions': 4,
    'auto.create.topics.enable': true,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 2_000,
    'default.replication.factor': 1,
    'min.insync.replicas': 1,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 4,
    // The default, 128 MB, is a quarter of the heap.
    'log.cleaner.dedupe.buffer.size': 8 * 1024 * 1024,
    // A killed broker can register again only after its old session has expired; the default is 9 s.
    'broker.session.timeout.ms': 1_500,
    'broker.heartbeat.interval.ms': 250,
    ...further,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

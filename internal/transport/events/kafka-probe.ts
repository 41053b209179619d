/** Asks the brokers regularly whether they answer, so that a process that sends nothing knows of an outage too. */
import { setTimeout as pause } from 'node:timers/promises';
import type { KafkaConnection } from './kafka-connection.ts';
import { asUnavailable, within } from './kafka-faults.ts';

const EVERY_MS = 1_000;
const LIMIT_MS = 2_000;

export interface KafkaProbe {
  /** Why the brokers cannot be used; undefined if they answered last time, or were not asked yet. */
  fault(): string | undefined;
  stop(): Promise<void>;
}

export function kafkaProbe(open: () => KafkaConnection): KafkaProbe {
  const stopping = new AbortController();
  let fault: string | undefined;

  /** Asks over one connection until it fails. */
  async function ask(connection: KafkaConnection): Promise<void> {
    const admin = connection.kafka.admin();
    await within(LIMIT_MS, admin.connect());
    while (!stopping.signal.aborted) {
      await within(LIMIT_MS, admin.describeCluster());
      fault = undefined;
      await pause(EVERY_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const connection = open();
      await ask(connection).catch((error) => {
        fault = asUnavailable(error).message;
      });
      connection.sever();
      await pause(EVERY_MS / 3, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }
  const running = run();

  return {
    fault: () => fault,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

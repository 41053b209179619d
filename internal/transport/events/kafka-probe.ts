/** Asks the brokers regularly whether they answer, so that a process that sends nothing knows of an outage and of its end. */
import { setTimeout as pause } from 'node:timers/promises';
import { TiffinError } from '../../domain/errors.ts';
import type { KafkaConnection } from './kafka-connection.ts';
import { asUnavailable, within } from './kafka-faults.ts';

const EVERY_MS = 500;
const LIMIT_MS = 2_000;
/** Between attempts to connect while the brokers are away. */
const AGAIN_MS = 100;

export interface KafkaProbe {
  /** Why the brokers cannot be used; undefined if they answered last time, or were not asked yet. */
  fault(): string | undefined;
  /** Resolves as soon as the brokers answer, or at the stop; at once while they do. */
  answers(): Promise<void>;
  stop(): Promise<void>;
}

/** Calls `onSilence` when a request was not answered: the other open connections may have died in the same way. */
export function kafkaProbe(open: () => KafkaConnection, onSilence: () => void): KafkaProbe {
  const stopping = new AbortController();
  let fault: string | undefined;
  let isWell = false;
  let waiting: (() => void)[] = [];

  function note(reason: string | undefined): void {
    fault = reason;
    isWell = reason === undefined;
    if (!isWell) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  }

  /** Asks over one connection until it fails. */
  async function ask(connection: KafkaConnection): Promise<void> {
    const admin = connection.kafka.admin();
    await within(LIMIT_MS, admin.connect());
    while (!stopping.signal.aborted) {
      const { brokers } = await within(LIMIT_MS, admin.describeCluster());
      if (brokers.length === 0) throw new Error('no broker is in service');
      note(undefined);
      await pause(EVERY_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const connection = open();
      await ask(connection).catch((error) => {
        note(asUnavailable(error).message);
        if (error instanceof TiffinError) onSilence();
      });
      connection.sever();
      await pause(AGAIN_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }
  const running = run();

  return {
    fault: () => fault,
    async answers() {
      if (isWell || stopping.signal.aborted) return;
      await new Promise<void>((resolve) => waiting.push(resolve));
    },
    async stop() {
      stopping.abort();
      for (const resolve of waiting) resolve();
      await running;
    },
  };
}

/** One stream member, wired as in a process, and the consumer whose effects the contract counts. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { EventOf } from '../../internal/domain/events.ts';
import { ALL_TOPICS } from '../../internal/domain/topics.ts';
import { openPool } from '../../internal/repository/postgres/database.ts';
import { postgresDeadLetters } from '../../internal/repository/postgres/stream/dead-letters.ts';
import {
  type PostgresEventLog,
  postgresEventLog,
} from '../../internal/repository/postgres/stream/event-log.ts';
import { postgresTransactions } from '../../internal/repository/postgres/transactions.ts';
import { startLoop } from '../../internal/service/loop.ts';
import type { Log } from '../../internal/service/ports.ts';
import type { Consumer } from '../../internal/service/stream/consumer.ts';
import type { EventBus } from '../../internal/service/stream/ports.ts';
import { relayEvents } from '../../internal/service/stream/relay-events.ts';
import type { ReplayDeps } from '../../internal/service/stream/replay-letters.ts';
import { kafkaBus } from '../../internal/transport/events/kafka-bus.ts';
import { postgresBus } from '../../internal/transport/events/postgres-bus.ts';

export interface StreamAddress {
  readonly databaseUrl: string;
  /** Absent for the stream on Postgres. */
  readonly kafka?: { readonly brokers: string; readonly topicPrefix: string };
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Member {
  readonly bus: EventBus;
  readonly deps: ReplayDeps;
  readonly pool: pg.Pool;
  readonly eventLog: PostgresEventLog;
  readonly lines: readonly LogLine[];
  close(): Promise<void>;
}

/** With Kafka, the first member also relays the event log. */
export function openMember(address: StreamAddress, options: { relays: boolean }): Member {
  const lines: LogLine[] = [];
  const log = keepLines(lines);
  const meter = { count() {}, observe() {} };
  const pool = openPool(address.databaseUrl, { max: 5, onError() {} });
  const eventLog = postgresEventLog(pool, address.databaseUrl, log);
  const transactions = postgresTransactions(pool, () => eventLog.signal());
  const clock = { now: () => Date.now() };
  const deps = { clock, transactions, deadLetters: postgresDeadLetters(pool), log, meter };
  if (!address.kafka) {
    const bus = postgresBus({ eventLog, transactions, log });
    return {
      bus,
      deps,
      pool,
      eventLog,
      lines,
      close: () => closeAll([bus, eventLog]).then(() => pool.end()),
    };
  }
  const { brokers, topicPrefix } = address.kafka;
  const bus = kafkaBus({
    brokers: [brokers],
    clientId: 'contract',
    log,
    topicPrefix,
    partitions: 3,
    disabledTopics: UNUSED_TOPICS,
  });
  const relay = options.relays
    ? startLoop(
        'event-relay',
        relayEvents({ eventLog, transactions, log, meter, sink: bus }, { disabledTopics: UNUSED_TOPICS }),
        log,
      )
    : undefined;
  if (relay) eventLog.onAppend(() => relay.wake());
  return {
    bus,
    deps,
    pool,
    eventLog,
    lines,
    async close() {
      await relay?.stop();
      await closeAll([bus, eventLog]);
      await pool.end();
    },
  };
}

/** Topics that the contract does not read; creating them would slow the broker. */
export const UNUSED_TOPICS: ReadonlySet<string> = new Set(
  ALL_TOPICS.filter((topic) => topic !== 'raw.order-events' && topic !== 'dlq.order-events'),
);

async function closeAll(parts: readonly { close(): Promise<void> }[]): Promise<void> {
  for (const part of parts) await part.close();
}

export function keepLines(lines: LogLine[]): Log {
  const keep = (level: LogLine['level']) => (fields: LogLine['fields'], message: string) => {
    lines.push({ level, message, fields });
  };
  return { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
}

export type Processing = EventOf<'order.processing'>;

/** The contract's event: its version is its sequence number within its order. */
export function processing(orderId: string, version: number): Processing {
  const at = new Date().toISOString();
  return {
    eventId: randomUUID(),
    eventType: 'order.processing',
    schemaVersion: 1,
    occurredAt: at,
    producedAt: at,
    orderId,
    correlationId: 'contract',
    producer: 'contract',
    payload: { status: 'PROCESSING', version },
  };
}

/** A consumer whose effect on an event is another event with a new id, so applying twice shows as two rows. */
export function countingConsumer(
  name: string,
  options: {
    batchSize?: number;
    topics?: readonly string[];
    before?: (events: readonly Processing[]) => void;
    afterwards?: () => Promise<void>;
  } = {},
): Consumer<'order.processing', void> {
  const { batchSize, topics = ['raw.order-events'], before, afterwards } = options;
  return {
    name,
    topics,
    types: ['order.processing'],
    ...(batchSize === undefined ? {} : { batchSize }),
    async apply(_tx, events, _performed, afterCommit) {
      before?.(events);
      if (afterwards) afterCommit(afterwards);
      return events.map((event) => ({
        ...event,
        eventId: randomUUID(),
        eventType: 'order.noted',
        payload: { version: event.payload.version, fact: name },
      }));
    },
  };
}

export interface Effect {
  readonly orderId: string;
  readonly version: number;
}

/** The effects of a counting consumer, in the order of application. */
export async function effectsOf(pool: pg.Pool, consumer: string): Promise<Effect[]> {
  const { rows } = await pool.query<{ order_id: string; version: number }>(
    `SELECT order_id, (record -> 'payload' ->> 'version')::int AS version FROM events
     WHERE event_type = 'order.noted' AND record -> 'payload' ->> 'fact' = $1 ORDER BY position`,
    [consumer],
  );
  return rows.map((row) => ({ orderId: row.order_id, version: row.version }));
}

export function versionsOf(effects: readonly Effect[], orderId: string): number[] {
  return effects.filter((effect) => effect.orderId === orderId).map((effect) => effect.version);
}

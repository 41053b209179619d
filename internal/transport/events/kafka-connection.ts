/** Opens Kafka connections that can be severed at any moment; translates kafkajs's logs and errors into Tiffin's. */
import { connect, type Socket } from 'node:net';
import { type ISocketFactory, Kafka, type logCreator, logLevel } from 'kafkajs';
import { faultOf, TiffinError } from '../../domain/errors.ts';
import type { Log } from '../../service/ports.ts';
import { within as withinLimit } from '../../service/time-limit.ts';

export interface KafkaConnection {
  readonly kafka: Kafka;
  /** Destroys every socket and opens no new one, so that no abandoned request is sent later; works without a broker. */
  sever(): void;
  isSevered(): boolean;
}

export interface KafkaSettings {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly log: Log;
}

const CONNECT_LIMIT_MS = 3_000;
const REQUEST_LIMIT_MS = 8_000;
/** About 1.5 s in total; after that the caller retries with a new connection. */
const RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 4 };
const KEEP_ALIVE_MS = 60_000;

export function openKafka(
  { brokers, clientId, log }: KafkaSettings,
  onSever: () => void = () => {},
): KafkaConnection {
  const sockets = new Set<Socket>();
  let severed = false;

  const socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    if (severed) throw new Error('the connection to Kafka was severed');
    const socket = connect({ host, port, noDelay: true }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };

  return {
    kafka: new Kafka({
      brokers: [...brokers],
      clientId,
      connectionTimeout: CONNECT_LIMIT_MS,
      requestTimeout: REQUEST_LIMIT_MS,
      retry: RETRY,
      socketFactory,
      logLevel: logLevel.INFO,
      logCreator: logTo(log, () => severed),
    }),
    isSevered: () => severed,
    sever() {
      severed = true;
      onSever();
      for (const socket of sockets) socket.destroy(new Error('the connection to Kafka was severed'));
    },
  };
}

/** Messages that kafkajs logs as errors in the normal operation of a group or an idempotent producer. */
const ORDINARY =
  /rebalanc|idempotent producer|coordinator is not aware of this member|^Crash: |^Restarting|^Response /i;
const REPEAT_MS = 60_000;

/** Logs kafkajs's errors as warnings, since kafkajs retries by itself: each message at most once a minute. */
function logTo(log: Log, muted: () => boolean): logCreator {
  const loggedAt = new Map<string, number>();
  return () =>
    ({ level, namespace, log: { message, error, broker, groupId } }) => {
      if (muted()) return;
      const fields = {
        kafka: namespace,
        ...(broker && { broker }),
        ...(groupId && { groupId }),
        ...(error && { error }),
      };
      const ordinary = level > logLevel.WARN || ORDINARY.test(message) || ORDINARY.test(String(error ?? ''));
      if (ordinary) return log.debug(fields, message);
      const now = performance.now();
      if (now - (loggedAt.get(message) ?? -REPEAT_MS) < REPEAT_MS) return;
      if (loggedAt.size > 100) loggedAt.clear();
      loggedAt.set(message, now);
      log.warn(fields, message);
    };
}

/** Errors caused by the record itself; every other error is transient, even if an operator has to repair its cause. */
const REFUSED = /^(MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_RECORD|INVALID_TOPIC_EXCEPTION)$/;

/** Converts an error to UNAVAILABLE, or to INTERNAL if the broker refuses the record itself. */
export function asUnavailable(error: unknown): TiffinError {
  if (error instanceof TiffinError) return error;
  const reason = error instanceof Error ? error.message : faultOf(error);
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const type = String((cause as { type?: unknown }).type ?? '');
    if (REFUSED.test(type))
      return new TiffinError('INTERNAL', `Kafka refused a record: ${type}`, { cause: error });
  }
  return new TiffinError('UNAVAILABLE', `Kafka: ${reason}`, { cause: error });
}

/** Rejects with UNAVAILABLE after the limit; the work itself is not cancelled. */
export function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  return withinLimit(limitMs, work, 'Kafka');
}

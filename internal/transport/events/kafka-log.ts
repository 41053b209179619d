/** What is logged about Kafka: kafkajs's own lines, and each fault once a minute, however many consumers meet it. */
import { type LogEntry, logLevel } from 'kafkajs';
import type { TiffinError } from '../../domain/errors.ts';
import type { Log } from '../../service/ports.ts';

export interface KafkaLog {
  /** A line of kafkajs. */
  line(entry: LogEntry): void;
  /** Warns of a fault; one that was warned of in the last minute is only logged at debug level. */
  fault(fault: TiffinError, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Messages that kafkajs logs as errors in the normal operation of a group or an idempotent producer. */
const ORDINARY =
  /rebalanc|idempotent producer|coordinator is not aware of this member|^Crash: |^Restarting|^Response /i;
/** Parts of kafkajs whose errors reach the caller too, which reports them. */
const REPORTED = /^(Connection|BrokerPool|Producer|SaslAuthenticator-.*)$/;
const REPEAT_MS = 60_000;

export function kafkaLog(log: Log): KafkaLog {
  const loggedAt = new Map<string, number>();

  /** True at most once a minute for a text. */
  function isNew(text: string): boolean {
    const now = performance.now();
    if (now - (loggedAt.get(text) ?? -REPEAT_MS) < REPEAT_MS) return false;
    if (loggedAt.size > 100) loggedAt.clear();
    loggedAt.set(text, now);
    return true;
  }

  return {
    line({ level, namespace, log: { message, error, broker, groupId } }) {
      const fields = {
        kafka: namespace,
        ...(broker && { broker }),
        ...(groupId && { groupId }),
        ...(error && { error }),
      };
      const isOrdinary =
        level > logLevel.WARN ||
        REPORTED.test(namespace) ||
        ORDINARY.test(message) ||
        ORDINARY.test(String(error ?? ''));
      // kafkajs retries by itself, so that none of its errors is more than a warning.
      if (isOrdinary || !isNew(message)) log.debug(fields, message);
      else log.warn(fields, message);
    },
    fault(fault, message, fields = {}) {
      if (isNew(fault.message)) log.warn({ ...fields, err: fault }, message);
      else log.debug({ ...fields, err: fault }, message);
    },
  };
}

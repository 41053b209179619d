/** The session timeout of the members of this process: the one that is asked for, or a longer one if the brokers permit no shorter. */
import type { Log } from '../../service/ports.ts';

/** What brokers permit unless `group.min.session.timeout.ms` is set. */
const ALWAYS_PERMITTED_MS = 6_000;

export interface KafkaSession {
  timeoutMs(): number;
  /** True if the error is the brokers' refusal of the timeout, and a longer one is used from now on. */
  isSettledAnew(error: unknown): boolean;
}

export function kafkaSession(wantedMs: number, log: Log): KafkaSession {
  let timeoutMs = wantedMs;
  return {
    timeoutMs: () => timeoutMs,
    isSettledAnew(error) {
      if (!isRefusal(error)) return false;
      if (timeoutMs >= ALWAYS_PERMITTED_MS) return wantedMs < ALWAYS_PERMITTED_MS;
      timeoutMs = ALWAYS_PERMITTED_MS;
      log.warn(
        { wantedMs, timeoutMs },
        'the brokers permit no such short KAFKA_SESSION_TIMEOUT_MS (group.min.session.timeout.ms), so that the work of a killed process waits longer',
      );
      return true;
    },
  };
}

function isRefusal(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if ((cause as { type?: unknown }).type === 'INVALID_SESSION_TIMEOUT') return true;
  return false;
}

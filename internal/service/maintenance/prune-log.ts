/** A pruner is responsible for deleting events, marks of processed events and idempotency keys after the retention time. */
import type { Clock, Log } from '../ports.ts';
import type { Retention } from './ports.ts';

const EVERY_MS = 600_000;

export interface PruneDeps {
  readonly retention: Retention;
  readonly clock: Clock;
  readonly log: Log;
}

export interface PruneOptions {
  readonly retentionMs: number;
  /** True if the consumer reads the event log on the configured stream; on Kafka only the relay does. */
  readonly readsLog: (consumer: string) => boolean;
}

/**
 * One round; returns the milliseconds to sleep. A cursor of a stream that is no longer configured would keep the log from
 * being pruned, so it is removed once it has been idle for the retention time. An idle cursor of the configured stream is
 * only logged, since its consumer may return and must find its events.
 */
export function pruneLog(
  { retention, clock, log }: PruneDeps,
  { retentionMs, readsLog }: PruneOptions,
): () => Promise<number> {
  return async () => {
    const before = clock.now() - retentionMs;
    const idle = await retention.idleCursors(before);
    const abandoned = idle.map(({ consumer }) => consumer).filter((consumer) => !readsLog(consumer));
    if (abandoned.length > 0) {
      await retention.removeCursors(abandoned);
      log.info({ consumers: abandoned }, 'idle cursors of the other stream were removed');
    }
    for (const { consumer, movedAt } of idle.filter(({ consumer }) => readsLog(consumer))) {
      const idleHours = Math.floor((clock.now() - movedAt) / 3_600_000);
      log.warn({ consumer, idleHours }, 'an idle consumer keeps the event log from being pruned');
    }
    const events = await retention.pruneEvents(before);
    await retention.pruneKeys(before);
    if (events > 0) log.info({ events }, 'the event log was pruned');
    return EVERY_MS;
  };
}

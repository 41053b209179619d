/** A pruner is responsible for deleting events, marks, keys, dead letters, messages, orders and payments after their retention. */
import type { Clock, Log } from '../ports.ts';
import { AGING, type Aging, type Retention } from './ports.ts';

const EVERY_MS = 600_000;
/** Rows per transaction: a long one would hold back the events appended after it, and so every order. */
const BATCH = 2_000;
/** The pause between two batches, in which orders get the server. */
const PAUSE_MS = 50;

export interface PruneDeps {
  readonly retention: Retention;
  readonly clock: Clock;
  readonly log: Log;
}

export interface PruneOptions {
  /** How long each is kept, milliseconds; what is absent is kept for ever. */
  readonly keepMs: { readonly events: number } & { readonly [what in Aging]?: number };
  /** True if the consumer reads the event log on the configured stream; on Kafka only the relay does. */
  readonly readsLog: (consumer: string) => boolean;
}

/**
 * Deletes one batch of each kind and returns the milliseconds to sleep: a pause while more is left, so that stopping never
 * waits for more than a batch. A round, which may have many batches, begins by looking at the cursors.
 */
export function pruner(deps: PruneDeps, { keepMs, readsLog }: PruneOptions): () => Promise<number> {
  const { retention, clock, log } = deps;
  /** What the current round has deleted; undefined between rounds. */
  let round: { left: readonly Aging[]; deleted: Map<Aging, number> } | undefined;

  return async () => {
    if (!round) {
      await clearCursors(deps, clock.now() - keepMs.events, readsLog);
      round = { left: AGING.filter((what) => keepMs[what] !== undefined), deleted: new Map() };
    }
    const left: Aging[] = [];
    for (const what of round.left) {
      const count = await retention.prune(what, clock.now() - (keepMs[what] as number), BATCH);
      if (count > 0) round.deleted.set(what, (round.deleted.get(what) ?? 0) + count);
      if (count === BATCH) left.push(what);
    }
    if (left.length > 0) {
      round = { ...round, left };
      return PAUSE_MS;
    }
    if (round.deleted.size > 0)
      log.info(Object.fromEntries(round.deleted), 'rows were deleted after their retention');
    round = undefined;
    return EVERY_MS;
  };
}

/**
 * A cursor of a stream that is no longer configured would keep the log from being pruned, so it is removed once it has been
 * idle for the retention time. An idle cursor of the configured stream is only logged, since its consumer may return and
 * must find its events.
 */
async function clearCursors(
  { retention, clock, log }: PruneDeps,
  before: number,
  readsLog: PruneOptions['readsLog'],
): Promise<void> {
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
}

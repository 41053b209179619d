/** A view comparer is responsible for views that went back in time with their Redis: it makes them those of Postgres. */
import type { Clock, Log } from '../ports.ts';
import type { StoredVersion, StoredViews } from './ports.ts';
import { isNewer, storeViews, type ViewDeps } from './project-views.ts';

const EVERY_MS = 1_000;

export interface CompareDeps extends ViewDeps {
  readonly storedViews: StoredViews;
  readonly clock: Clock;
  readonly log: Log;
}

/** How far the views of a history have been compared. */
interface Walk {
  readonly history: string;
  readonly cursor?: string | undefined;
  readonly compared: number;
  readonly replaced: number;
  readonly removed: number;
}

/**
 * Compares one page of views whose history is new, or looks for such a history. Returns the milliseconds to sleep. What
 * fails is done again from the same page on.
 */
export function viewComparer(deps: CompareDeps): () => Promise<number> {
  const { storedViews, viewSource, clock, log } = deps;
  const known = new Set<string>();
  let isFirstLook = true;
  let walk: Walk | undefined;

  /** The first look believes what other processes have compared. A history that begins later may lack what this process stored. */
  async function learn(histories: readonly string[]): Promise<void> {
    if (!isFirstLook) return;
    for (const history of histories) if (await storedViews.isCompared(history)) known.add(history);
    isFirstLook = false;
  }

  /**
   * The views were looked at before Postgres is read, so a right one is never newer than its rows: Postgres has lost the
   * changes of one that is, as it has lost or pruned an order that is missing.
   */
  async function mend(stored: readonly StoredVersion[]): Promise<{ replaced: number; removed: number }> {
    if (stored.length === 0) return { replaced: 0, removed: 0 };
    const current = await viewSource.read(stored.map(({ orderId }) => orderId));
    const byId = new Map(current.map((view) => [view.order.id, view]));
    const wrong = stored
      .map((version) => ({ ...version, view: byId.get(version.orderId) }))
      .filter(({ revision, view }) => String(view?.revision) !== String(revision));
    let removed = 0;
    for (const { view, ...version } of wrong) {
      if (view && !isNewer(version.revision, view.revision)) continue;
      const isRemoved = await storedViews.remove(version);
      if (isRemoved && !view) removed += 1;
    }
    const replaced = wrong.flatMap(({ view }) => view ?? []);
    await storeViews(deps, replaced);
    return { replaced: replaced.length, removed };
  }

  return async () => {
    const histories = await storedViews.histories();
    await learn(histories);
    if (!walk || !histories.includes(walk.history)) {
      const history = histories.find((one) => !known.has(one));
      walk = history === undefined ? undefined : { history, compared: 0, replaced: 0, removed: 0 };
    }
    if (!walk) return EVERY_MS;
    const startedAt = clock.now();
    const { versions, next } = await storedViews.page(walk.history, walk.cursor);
    if (walk.compared === 0 && versions.length > 0)
      log.info({}, 'Redis was started or has a new primary; its views are compared with the database');
    const { replaced, removed } = await mend(versions);
    walk = {
      history: walk.history,
      cursor: next,
      compared: walk.compared + versions.length,
      replaced: walk.replaced + replaced,
      removed: walk.removed + removed,
    };
    // Others get as much time from the servers as the comparison takes.
    if (next !== undefined) return clock.now() - startedAt;
    const { history, cursor: _, ...counts } = walk;
    await storedViews.setCompared(history);
    known.add(history);
    walk = undefined;
    if (counts.compared > 0) log.info(counts, 'the views in Redis are those of the database');
    return 0;
  };
}

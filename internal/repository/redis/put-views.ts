/** Stores views in Redis: on one server in one script for each order, on a cluster in steps that each have one slot. */
import { readFileSync } from 'node:fs';
import { Cluster, type Redis, type Result } from 'ioredis';
import type { Revision } from '../../service/views/ports.ts';
import { asUnavailable } from './connection.ts';

/** What is stored of one order. */
export interface StoredView {
  readonly orderId: string;
  readonly revision: Revision;
  readonly origin: string;
  readonly snapshot: { readonly key: string; readonly text: string; readonly ttlS: number };
  readonly status: { readonly key: string; readonly text: string; readonly ttlS: number };
  /** The customer's list; undefined if the order is not added to it. */
  readonly list: { readonly key: string; readonly length: number; readonly ttlS: number } | undefined;
}

const script = (file: string) => readFileSync(new URL(`./${file}`, import.meta.url), 'utf8');
const PARTS = script('view-parts.lua');
/** A script that begins with view-parts.lua. */
export const viewScript = (file: string, numberOfKeys: number) => ({
  lua: PARTS + script(file),
  numberOfKeys,
});
const SCRIPTS = {
  putView: viewScript('put-view.lua', 3),
  lookAtView: viewScript('look-at-view.lua', 1),
  listOrder: viewScript('list-order.lua', 1),
  putStatus: viewScript('put-status.lua', 2),
  putSnapshot: viewScript('put-snapshot.lua', 1),
};
type Arguments = (string | number)[];
/** How the stored view compares with one that is put. */
type Found = 'older' | 'newer' | 'first';

declare module 'ioredis' {
  interface ChainableCommander {
    /** put-view.lua. */
    putView(...keysAndArguments: Arguments): ChainableCommander;
  }
  interface RedisCommander<Context> {
    /** look-at-view.lua. */
    lookAtView(...keysAndArguments: Arguments): Result<Found, Context>;
    listOrder(...keysAndArguments: Arguments): Result<number, Context>;
    putStatus(...keysAndArguments: Arguments): Result<number, Context>;
    putSnapshot(...keysAndArguments: Arguments): Result<Found, Context>;
  }
}

/** `prefix` is that of the keys that only Tiffin reads. The result stores views, and resolves with those of which none was stored. */
export function viewStorage(
  redis: Redis | Cluster,
  options: { prefix: string; channel: string },
): (views: readonly StoredView[]) => Promise<StoredView[]> {
  for (const [name, definition] of Object.entries(SCRIPTS)) redis.defineCommand(name, definition);
  const { prefix, channel } = options;
  const versionOf = ({ revision, origin }: StoredView) => [...revision, origin];
  const snapshotOf = (view: StoredView) => [
    ...versionOf(view),
    view.snapshot.text,
    view.snapshot.ttlS,
    channel,
    view.orderId,
  ];

  async function onOneServer(views: readonly StoredView[]): Promise<StoredView[]> {
    const pipeline = redis.pipeline();
    for (const view of views) {
      const { snapshot, status, list } = view;
      pipeline.putView(
        ...[snapshot.key, status.key, list?.key ?? snapshot.key, ...snapshotOf(view)],
        ...[status.text, status.ttlS, list?.length ?? 0, list?.ttlS ?? 0],
      );
    }
    const answers = (await asUnavailable(pipeline.exec())) ?? [];
    for (const [error] of answers) if (error) await asUnavailable(Promise.reject(error));
    return views.filter((_, index) => answers[index]?.[1] === 'first');
  }

  /**
   * The keys of a view have different slots, so no script can store them together. The snapshot comes last: as long as it is
   * not stored, whoever dies in between is followed by one who does every step again, and no step minds a repetition. Each
   * step goes through all views before the next one, so that a customer's list has the order of the views.
   */
  async function onCluster(views: readonly StoredView[]): Promise<StoredView[]> {
    const all = <T>(some: readonly StoredView[], step: (view: StoredView) => Promise<T>) =>
      Promise.all(some.map((view) => asUnavailable(step(view))));
    const states = await all(views, (view) => redis.lookAtView(view.snapshot.key, ...versionOf(view)));
    const newer = views.filter((_, index) => states[index] !== 'older');
    const listed = views.filter((_, index) => states[index] === 'first');
    await all(listed, async ({ list, orderId }) => {
      if (list) await redis.listOrder(list.key, orderId, list.length, list.ttlS);
    });
    await all(newer, (view) => {
      const { key, text, ttlS } = view.status;
      // The tag gives the revision the slot of the status, whose own key is a contract.
      return redis.putStatus(key, `${prefix}:{${key}}:revision`, ...versionOf(view), text, ttlS);
    });
    const found = await all(newer, (view) => redis.putSnapshot(view.snapshot.key, ...snapshotOf(view)));
    return newer.filter((_, index) => found[index] === 'first');
  }

  return redis instanceof Cluster ? onCluster : onOneServer;
}

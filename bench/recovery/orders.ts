/** Places orders while servers are broken, and sees in the database itself when each of them was dispatched and completed. */
import { setTimeout as pause } from 'node:timers/promises';
import { request } from '../../test/support/program.ts';
import { until } from '../../test/support/until.ts';
import type { Servers } from './servers.ts';

const LOOK_EVERY_MS = 20;
const PLACE_EVERY_MS = 100;
/** An attempt without an answer is given up: the client's own limit. */
const ATTEMPT_MS = 10_000;

/** Times of `performance.now()`. */
export interface Watched {
  /** When the client began to place it, or for an order of later when it is due. */
  readonly wantedAt: number;
  dispatchedAt?: number;
  completedAt?: number;
}

export interface Orders {
  /** Places an order, due after this time, repeating until it is acknowledged. */
  place(url: string, id: string, dueInMs?: number): Promise<Watched>;
  /** Places one order after the other until the returned function is called; it resolves with all of them. */
  keepPlacing(url: string, prefix: string): () => Promise<Watched[]>;
  /** Resolves when all orders that were placed have completed. */
  settled(withinMs: number): Promise<void>;
  stop(): Promise<void>;
}

export function ordersOn(servers: Servers): Orders {
  const pending = new Map<string, Watched>();
  let stopped = false;

  async function look(): Promise<void> {
    const ids = [...pending.keys()];
    if (ids.length === 0) return;
    const rows = await servers.query<{ id: string; status: string }>(
      `SELECT order_id AS id, status FROM orders WHERE order_id = ANY($1) AND status <> 'CREATED'`,
      [ids],
    );
    const now = performance.now();
    for (const { id, status } of rows) {
      const watched = pending.get(id) as Watched;
      watched.dispatchedAt ??= now;
      if (status !== 'COMPLETED') continue;
      watched.completedAt = now;
      pending.delete(id);
    }
  }

  const looking = (async () => {
    while (!stopped) {
      await look().catch(() => {});
      await pause(LOOK_EVERY_MS);
    }
  })();

  async function place(url: string, id: string, dueInMs?: number): Promise<Watched> {
    const watched: Watched = { wantedAt: performance.now() + (dueInMs ?? 0) };
    const due = dueInMs === undefined ? {} : { scheduled_time: new Date(Date.now() + dueInMs).toISOString() };
    const body = { id, customer_name: 'Asha', total_price: 12.5, ...due };
    pending.set(id, watched);
    for (;;) {
      const signal = AbortSignal.timeout(ATTEMPT_MS);
      const answer = await request('POST', `${url}/orders`, body, {}, signal).catch(() => undefined);
      if (answer?.status === 201) return watched;
      if (answer && answer.status !== 503)
        throw new Error(`placing was answered with ${answer.status} ${JSON.stringify(answer.body)}`);
      await pause(LOOK_EVERY_MS);
    }
  }

  return {
    place,
    keepPlacing(url, prefix) {
      let isOver = false;
      const all: Watched[] = [];
      const placing = (async () => {
        for (let n = 0; !isOver; n++) {
          all.push(await place(url, `${prefix}-${n}`));
          await pause(PLACE_EVERY_MS);
        }
      })();
      return async () => {
        isOver = true;
        await placing;
        return all;
      };
    },
    async settled(withinMs) {
      await until('all orders to complete', () => pending.size === 0, withinMs);
    },
    async stop() {
      stopped = true;
      await looking;
    },
  };
}

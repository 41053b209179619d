/** Orders in Postgres: many are placed in one statement, and read one by one, in pages, or as the scheduler's source. */
import type pg from 'pg';
import { TiffinError } from '../../../domain/errors.ts';
import { ORDER_STATUSES } from '../../../domain/order.ts';
import type { OrderStore, Placement, PlacementOutcome } from '../../../service/orders/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { isUniqueViolation, query } from '../database.ts';
import { findResponse, ONE_RESPONSE, responseColumn, saveResponse } from '../idempotency-keys.ts';
import { toLogEntry } from '../stream/event-log.ts';
import { orderCache } from './order-cache.ts';
import { ORDER_COLUMNS, type OrderRow, PLACED_COLUMNS, toColumns, toOrder } from './order-rows.ts';

const ORDER_NAMES = Object.keys(PLACED_COLUMNS).join(', ');
const PLACEMENTS = bulkParameters({
  ...PLACED_COLUMNS,
  event_id: 'uuid',
  event_type: 'text',
  record: 'json',
  principal: 'words',
  operation: 'words',
  key: 'words',
  answer: 'json',
});

/*
 * Input: placements. Output: the ids that were stored. Order, event and answer are one statement and so one
 * transaction. A placement whose idempotency key or order id is known already stores nothing.
 */
const PLACE = {
  name: 'place-orders',
  text: `
    WITH input AS (
      SELECT * FROM ${PLACEMENTS.from} r
    ), fresh AS (
      SELECT * FROM input i WHERE i.key IS NULL OR NOT EXISTS (
        SELECT FROM idempotency_keys k WHERE (k.principal, k.operation, k.key) = (i.principal, i.operation, i.key))
    ), placed AS (
      INSERT INTO orders (${ORDER_NAMES}) SELECT ${ORDER_NAMES} FROM fresh ORDER BY order_id
      ON CONFLICT (order_id) DO NOTHING
      RETURNING order_id
    ), logged AS (
      INSERT INTO events (event_id, event_type, order_id, record)
      SELECT event_id, event_type, order_id, record FROM fresh JOIN placed USING (order_id)
    ), answered AS (
      INSERT INTO idempotency_keys (principal, operation, key, fingerprint, answer)
      SELECT principal, operation, key, fingerprint, answer FROM fresh JOIN placed USING (order_id) WHERE key IS NOT NULL
    )
    SELECT order_id FROM placed`,
};

const FIND_ONE = {
  name: 'find-order',
  text: `SELECT ${ORDER_COLUMNS} FROM orders WHERE order_id = $1`,
};

// Input: statuses, the window of creation, the last order of the page before, a limit. Output: the next page, newest
// first: of each status at most a page is read from its index, and of those the newest are kept.
const LIST = {
  name: 'list-orders',
  text: `SELECT o.* FROM unnest($1::text[]) AS wanted(status) CROSS JOIN LATERAL (
      SELECT ${ORDER_COLUMNS} FROM orders
      WHERE orders.status = wanted.status AND created_at >= $2 AND created_at < $3 AND (created_at, order_id) < ($4, $5)
      ORDER BY created_at DESC, order_id DESC LIMIT $6
    ) o ORDER BY o.created_at DESC, o.order_id DESC LIMIT $6`,
};

/** `onAppend` is called after a commit that appended events, to wake the readers of the log. */
export function postgresOrderStore(pool: pg.Pool, onAppend: () => void, known = orderCache(0)): OrderStore {
  async function insert(placements: readonly Placement[]): Promise<Set<string>> {
    const rows = placements.map(({ order, event, fingerprint, idempotency }) => {
      const { event_id, event_type, record } = toLogEntry(event);
      const { key, answer } = idempotency ?? {};
      return Object.assign(toColumns(order, fingerprint), {
        event_id,
        event_type,
        record,
        principal: key?.principal,
        operation: key?.operation,
        key: key?.key,
        answer: answer && responseColumn(answer),
      });
    });
    const stored = await query<{ order_id: string }>(pool, PLACE, PLACEMENTS.values(rows));
    if (stored.rows.length > 0) onAppend();
    const ids = new Set(stored.rows.map((row) => row.order_id));
    known.keep(placements.flatMap(({ order }) => (ids.has(order.id) ? [order] : [])));
    return ids;
  }

  /** What became of a placement that stored nothing: its key was answered before, or its id is taken. */
  async function explain(placement: Placement): Promise<PlacementOutcome> {
    const answer = placement.idempotency && (await findResponse(pool, placement.idempotency.key));
    if (answer) return { outcome: 'answered', answer };
    const { rows } = await query<OrderRow>(pool, FIND_ONE, [placement.order.id]);
    const [row] = rows;
    if (row) return { outcome: 'id-taken', order: toOrder(row), fingerprint: row.fingerprint };
    throw new TiffinError('UNAVAILABLE', 'the order was removed while it was placed');
  }

  async function placeDistinct(placements: readonly Placement[]): Promise<PlacementOutcome[]> {
    const stored = await insert(placements).catch((error) => {
      // The key was stored by another process a moment ago; now it is there to be seen.
      if (isUniqueViolation(error, ONE_RESPONSE)) return insert(placements);
      throw error;
    });
    return Promise.all(
      placements.map((placement) =>
        stored.has(placement.order.id) ? { outcome: 'placed' as const } : explain(placement),
      ),
    );
  }

  return {
    async place(placements) {
      const outcomes: PlacementOutcome[] = new Array(placements.length);
      let pending = placements.map((placement, index) => ({ placement, index }));
      while (pending.length > 0) {
        // One statement cannot decide between two of the same id or key, so the later ones go in the next.
        const { distinct, repeated } = splitRepeated(pending);
        const results = await placeDistinct(distinct.map(({ placement }) => placement));
        distinct.forEach(({ index }, n) => {
          outcomes[index] = results[n] as PlacementOutcome;
        });
        pending = repeated;
      }
      return outcomes;
    },
    async saveResponse(key, answer) {
      await saveResponse(pool, key, answer).catch((error) => {
        // Whoever was first has stored the same answer, or will be told apart by the fingerprint.
        if (!isUniqueViolation(error, ONE_RESPONSE)) throw error;
      });
    },
    async find(ids) {
      return [...(await known.read(pool, ids)).values()];
    },
    async list({ status, createdFrom, createdBefore, after, limit }) {
      const { rows } = await query<OrderRow>(pool, LIST, [
        status ? [status] : ORDER_STATUSES,
        new Date(createdFrom ?? 0),
        createdBefore === undefined ? 'infinity' : new Date(createdBefore),
        after ? new Date(after.createdAt) : 'infinity',
        after?.id ?? '',
        limit,
      ]);
      return rows.map(toOrder);
    },
  };
}

function splitRepeated<T extends { placement: Placement }>(
  pending: readonly T[],
): { distinct: T[]; repeated: T[] } {
  const taken = new Set<string>();
  const distinct: T[] = [];
  const repeated: T[] = [];
  for (const entry of pending) {
    const { order, idempotency } = entry.placement;
    const names = [`id ${order.id}`];
    if (idempotency)
      names.push(
        `key ${JSON.stringify([idempotency.key.principal, idempotency.key.operation, idempotency.key.key])}`,
      );
    if (names.some((name) => taken.has(name))) repeated.push(entry);
    else {
      for (const name of names) taken.add(name);
      distinct.push(entry);
    }
  }
  return { distinct, repeated };
}

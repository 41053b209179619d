/** Stores orders in Postgres: places many in one statement, and reads them by id or in pages. */
import { and, desc, eq, gte, lt, sql } from 'drizzle-orm';
import { unionAll } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import { TiffinError } from '../../../domain/errors.ts';
import { ORDER_STATUSES, type OrderId, type OrderStatus } from '../../../domain/order.ts';
import type { OrderQuery, OrderStore, Placement, PlacementOutcome } from '../../../service/orders/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { isViolationOf } from '../database.ts';
import { findResponse, ONE_RESPONSE, saveResponse, withoutFingerprint } from '../idempotency-keys.ts';
import { attempt, namesOf, on, prepared, statement } from '../queries.ts';
import { idempotencyKeys, orders } from '../schema/orders.ts';
import { events } from '../schema/stream.ts';
import { toLogEntry } from '../stream/event-log.ts';
import { orderCache } from './order-cache.ts';
import { PLACED, toOrder, toPlacedRow } from './order-rows.ts';

const { principal, operation, key, response } = idempotencyKeys;
const placementRows = bulkParameters({
  ...PLACED,
  eventId: events.eventId,
  eventType: events.eventType,
  record: events.record,
  principal,
  operation,
  key,
  response,
});
const ORDER = namesOf(Object.values(PLACED));
const ORDER_ID = namesOf([orders.orderId]);
const EVENT = namesOf([events.eventId, events.eventType, events.orderId, events.record]);
const KEY = [principal, operation, key];
const RESPONSE = namesOf([...KEY, idempotencyKeys.fingerprint, response]);

// By hand: one statement, so one round trip and one transaction, stores the orders, events and responses of many requests.
// Output: the stored order ids. A placement whose idempotency key or order id already exists stores nothing.
const placeAll = statement<{ order_id: OrderId }>(
  'place-orders',
  sql`
    with input as (
      select * from ${placementRows.relation} r
    ), fresh as (
      select * from input i where i.${namesOf([key])} is null
        or not exists (select from ${idempotencyKeys} k where (${namesOf(KEY, 'k')}) = (${namesOf(KEY, 'i')}))
    ), placed as (
      insert into ${orders} (${ORDER}) select ${ORDER} from fresh order by ${ORDER_ID}
      on conflict (${ORDER_ID}) do nothing
      returning ${ORDER_ID}
    ), logged as (
      insert into ${events} (${EVENT}) select ${EVENT} from fresh join placed using (${ORDER_ID})
    ), answered as (
      insert into ${idempotencyKeys} (${RESPONSE})
      select ${RESPONSE} from fresh join placed using (${ORDER_ID}) where ${namesOf([key])} is not null
    )
    select ${ORDER_ID} from placed`,
);

const findOne = prepared('find-order', (db) =>
  db
    .select()
    .from(orders)
    .where(eq(orders.orderId, sql.placeholder('id'))),
);

/** `onAppend` is called after a commit that appended events, to wake the readers of the log. */
export function postgresOrderStore(pool: pg.Pool, onAppend: () => void, cache = orderCache(0)): OrderStore {
  async function insert(wanted: readonly Placement[]): Promise<Set<string>> {
    const rows = wanted.map(({ order, event, fingerprint, idempotency }) => {
      const { key, answer } = idempotency ?? {};
      return Object.assign(toPlacedRow(order, fingerprint), toLogEntry(event), {
        orderId: order.id,
        principal: key?.principal,
        operation: key?.operation,
        key: key?.key,
        response: answer && withoutFingerprint(answer),
      });
    });
    const stored = await placeAll(pool, placementRows.values(rows));
    if (stored.rows.length > 0) onAppend();
    const ids = new Set(stored.rows.map((row) => row.order_id));
    cache.add(wanted.flatMap(({ order }) => (ids.has(order.id) ? [order] : [])));
    return ids;
  }

  /** Finds the reason a placement stored nothing: its key has a stored response, or its order id is taken. */
  async function explain(placement: Placement): Promise<PlacementOutcome> {
    const answer = placement.idempotency && (await findResponse(pool, placement.idempotency.key));
    if (answer) return { outcome: 'answered', answer };
    const [row] = await findOne(pool, { id: placement.order.id });
    if (row) return { outcome: 'id-taken', order: toOrder(row), fingerprint: row.fingerprint };
    throw new TiffinError('UNAVAILABLE', 'the order was removed while it was placed');
  }

  async function placeDistinct(placements: readonly Placement[]): Promise<PlacementOutcome[]> {
    const stored = await insert(placements).catch((error) => {
      // Another process has just committed one of the keys; the retry sees it.
      if (isViolationOf(error, ONE_RESPONSE)) return insert(placements);
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
        // One statement cannot insert the same id or key twice, so repeated ones go into the next statement.
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
        // A concurrent request has stored the same response, or one whose fingerprint differs.
        if (!isViolationOf(error, ONE_RESPONSE)) throw error;
      });
    },
    async find(ids) {
      return [...(await cache.read(pool, ids)).values()];
    },
    async list(query) {
      const pages = (query.status ? [query.status] : ORDER_STATUSES).map((status) =>
        page(pool, status, query),
      );
      const [first, second, ...rest] = pages;
      // Reads at most a page from each status's index range, and takes the newest of those.
      const merged =
        first && second
          ? unionAll(first, second, ...rest)
              .orderBy(desc(orders.createdAt), desc(orders.orderId))
              .limit(query.limit)
          : first;
      return merged ? (await attempt(merged)).map(toOrder) : [];
    },
  };
}

/** The newest orders in one status that match the query. */
function page(pool: pg.Pool, status: OrderStatus, { createdFrom, createdBefore, after, limit }: OrderQuery) {
  return on(pool)
    .select()
    .from(orders)
    .where(
      and(
        eq(orders.status, status),
        createdFrom === undefined ? undefined : gte(orders.createdAt, createdFrom),
        createdBefore === undefined ? undefined : lt(orders.createdAt, createdBefore),
        after &&
          sql`(${orders.createdAt}, ${orders.orderId}) < (${sql.param(after.createdAt, orders.createdAt)}::timestamptz, ${after.id})`,
      ),
    )
    .orderBy(desc(orders.createdAt), desc(orders.orderId))
    .limit(limit);
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

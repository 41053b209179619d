/** Runs the use cases' work in Postgres transactions. */
import { sql } from 'drizzle-orm';
import type pg from 'pg';
import { TiffinError } from '../../domain/errors.ts';
import type { Event } from '../../domain/events.ts';
import type { Order, OrderId } from '../../domain/order.ts';
import type {
  IdempotencyKey,
  LogPosition,
  NewDeadLetter,
  StoredResponse,
  Transaction,
  Transactions,
} from '../../service/ports.ts';
import { assignments, bulkParameters } from './bulk-parameters.ts';
import { asTransient, bindClient, isLost, isViolationOf } from './database.ts';
import { findResponse, ONE_RESPONSE, saveResponse } from './idempotency-keys.ts';
import { type OrderCache, orderCache } from './orders/order-cache.ts';
import { CHANGED, toChangedRow } from './orders/order-rows.ts';
import { namesOf, statement } from './queries.ts';
import { orders } from './schema/orders.ts';
import { processedEvents } from './schema/stream.ts';
import { moveCursor } from './stream/cursors.ts';
import { addDeadLetters, removeLetter } from './stream/dead-letters.ts';
import { asUuid } from './stream/event-ids.ts';
import { appendEvents } from './stream/event-log.ts';

const changedRows = bulkParameters({ orderId: orders.orderId, ...CHANGED });
const ORDER_ID = [orders.orderId];

// By hand: updates a batch of orders in one statement.
const saveOrders = statement(
  'save-orders',
  sql`update ${orders} o set ${assignments(Object.values(CHANGED), 'r')} from ${changedRows.relation} r
    where ${namesOf(ORDER_ID, 'o')} = ${namesOf(ORDER_ID, 'r')}`,
);

const { consumer, eventId } = processedEvents;
// By hand: inserts a batch in one statement, in id order, so that two transactions never deadlock.
// Output: the events that the consumer had not handled yet.
const claimEvents = statement<{ event_id: string }>(
  'claim-events',
  sql`insert into ${processedEvents} (${namesOf([consumer, eventId])})
    select ${sql.placeholder('consumer')}, id from unnest(${sql.placeholder('ids')}::uuid[]) as id order by id
    on conflict do nothing returning ${namesOf([eventId])}`,
);

/** `onAppend` is called after a commit that appended events, to wake the readers of the log. */
export function postgresTransactions(
  pool: pg.Pool,
  onAppend: () => void,
  cache = orderCache(0),
): Transactions {
  return {
    async run(work) {
      const client = await connect(pool);
      let appended = false;
      let broken: Error | undefined;
      try {
        await client.query('BEGIN');
        const seen = new Map<OrderId, Order>();
        const tx = transaction(client, cache, seen, () => {
          appended = true;
        });
        bindClient(tx, client);
        const result = await work(tx);
        const { command } = await client.query('COMMIT');
        // After a failed statement whose error the work passed over, Postgres rolls back and reports no error.
        if (command !== 'COMMIT')
          throw new Error('a statement of the transaction failed; it was rolled back');
        cache.add(seen.values());
        if (appended) onAppend();
        return result;
      } catch (error) {
        // A lost connection, and one whose rollback fails, is discarded.
        if (isLost(error)) broken = error as Error;
        else
          await client.query('ROLLBACK').catch((fault: Error) => {
            broken = fault;
          });
        throw asTransient(error);
      } finally {
        client.release(broken);
      }
    },
  };
}

async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw asTransient(error);
  }
}

/** `seen` collects each order in its state at the end of the transaction. */
function transaction(
  client: pg.PoolClient,
  cache: OrderCache,
  seen: Map<OrderId, Order>,
  appended: () => void,
): Transaction {
  return {
    async lockOrders(ids: readonly OrderId[]) {
      const orders = await cache.read(client, ids, { lock: true });
      for (const [id, order] of orders) seen.set(id, order);
      return orders;
    },
    async saveOrders(orders: readonly Order[]) {
      if (orders.length === 0) return;
      await saveOrders(client, changedRows.values(orders.map(toChangedRow)));
      for (const order of orders) seen.set(order.id, order);
    },
    async appendEvents(events: readonly Event[]) {
      if (events.length === 0) return;
      await appendEvents(client, events);
      appended();
    },
    async claimEvents(consumer: string, eventIds: readonly string[]) {
      if (eventIds.length === 0) return new Set();
      const names = new Map(eventIds.map((id) => [asUuid(id), id]));
      const { rows } = await claimEvents(client, { consumer, ids: [...names.keys()] });
      return new Set(rows.map((row) => names.get(row.event_id) as string));
    },
    async moveCursor(consumer: string, from: LogPosition, to: LogPosition) {
      if (!(await moveCursor(client, consumer, from, to)))
        throw new TiffinError(
          'UNAVAILABLE',
          `the cursor of ${consumer} was moved by another reader, or the database is another server`,
        );
    },
    deadLetters: {
      async add(letters: readonly NewDeadLetter[]) {
        await addDeadLetters(client, letters);
        if (letters.some((letter) => letter.error !== undefined)) appended();
      },
      remove: (id: string) => removeLetter(client, id),
    },
    idempotency: {
      find: (key: IdempotencyKey) => findResponse(client, key),
      async save(key: IdempotencyKey, answer: StoredResponse) {
        try {
          await saveResponse(client, key, answer);
        } catch (error) {
          if (!isViolationOf(error, ONE_RESPONSE)) throw error;
          throw new TiffinError(
            'IDEMPOTENCY_KEY_REUSED',
            'this idempotency key was used for another request at the same moment',
          );
        }
      },
    },
  };
}

/** What one Postgres transaction can do for the use cases. */
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
import { bulkParameters } from './bulk-parameters.ts';
import { asTransient, isUniqueViolation, query } from './database.ts';
import { findResponse, ONE_RESPONSE, saveResponse } from './idempotency-keys.ts';
import { type OrderCache, orderCache } from './orders/order-cache.ts';
import { CHANGED_COLUMNS, toChangedColumns } from './orders/order-rows.ts';
import { addDeadLetters, removeLetter } from './stream/dead-letters.ts';
import { asUuid } from './stream/event-ids.ts';
import { appendEvents, MOVE_CURSOR } from './stream/event-log.ts';

const CHANGED_ROWS = bulkParameters(CHANGED_COLUMNS);

// Input: the changed columns of each order.
const SAVE_ORDERS = {
  name: 'save-orders',
  text: `
    UPDATE orders o
    SET status = r.status, reason = r.reason, scheduled_at = r.scheduled_at, due_at = r.due_at,
        updated_at = r.updated_at, version = r.version, timeline = r.timeline
    FROM ${CHANGED_ROWS.from} r
    WHERE o.order_id = r.order_id`,
};

// Input: consumer, event ids. Output: those that the consumer had not handled yet. In the order of the ids, so that two
// transactions never wait for each other in a circle.
const CLAIM_EVENTS = {
  name: 'claim-events',
  text: `INSERT INTO processed_events (consumer, event_id) SELECT $1, id FROM unnest($2::uuid[]) AS id ORDER BY id
    ON CONFLICT DO NOTHING RETURNING event_id`,
};

const clients = new WeakMap<Transaction, pg.PoolClient>();

/** The connection of a transaction, for the stores beside this file that take part in it. */
export function clientOf(tx: Transaction): pg.PoolClient {
  const client = clients.get(tx);
  if (!client) throw new TypeError('this transaction is not one of Postgres');
  return client;
}

/** `onAppend` is called after a commit that appended events, to wake the readers of the log. */
export function postgresTransactions(
  pool: pg.Pool,
  onAppend: () => void,
  known = orderCache(0),
): Transactions {
  return {
    async run(work) {
      const client = await connect(pool);
      let appended = false;
      let broken: Error | undefined;
      try {
        await query(client, { name: 'begin', text: 'BEGIN' });
        const seen = new Map<OrderId, Order>();
        const tx = transaction(client, known, seen, () => {
          appended = true;
        });
        clients.set(tx, client);
        const result = await work(tx);
        await query(client, { name: 'commit', text: 'COMMIT' });
        known.keep(seen.values());
        if (appended) onAppend();
        return result;
      } catch (error) {
        // A connection whose rollback fails is of no further use.
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

/** `seen` takes every order as the transaction leaves it. */
function transaction(
  client: pg.PoolClient,
  known: OrderCache,
  seen: Map<OrderId, Order>,
  appended: () => void,
): Transaction {
  return {
    async lockOrders(ids: readonly OrderId[]) {
      const orders = await known.read(client, ids, { lock: true });
      for (const [id, order] of orders) seen.set(id, order);
      return orders;
    },
    async saveOrders(orders: readonly Order[]) {
      if (orders.length === 0) return;
      await query(client, SAVE_ORDERS, CHANGED_ROWS.values(orders.map(toChangedColumns)));
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
      const { rows } = await query<{ event_id: string }>(client, CLAIM_EVENTS, [consumer, [...names.keys()]]);
      return new Set(rows.map((row) => names.get(row.event_id) as string));
    },
    async moveCursor(consumer: string, from: LogPosition, to: LogPosition) {
      const { rowCount } = await query(client, MOVE_CURSOR, [
        consumer,
        from.transactionId,
        from.position,
        to.transactionId,
        to.position,
      ]);
      if (rowCount !== 1)
        throw new TiffinError('UNAVAILABLE', `another reader has moved the cursor of ${consumer}`);
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
          if (!isUniqueViolation(error, ONE_RESPONSE)) throw error;
          throw new TiffinError(
            'IDEMPOTENCY_KEY_REUSED',
            'this idempotency key was used for another request at the same moment',
          );
        }
      },
    },
  };
}

/** The history of orders, in a partition for each month. */
import type pg from 'pg';
import type { History } from '../../../service/views/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { query } from '../database.ts';
import { asUuid } from '../stream/event-ids.ts';
import { clientOf } from '../transactions.ts';

const ENTRIES = bulkParameters({
  order_id: 'words',
  at: 'timestamptz',
  event_id: 'uuid',
  event_type: 'text',
  producer: 'words',
  payload: 'json',
});

// Input: entries; one that is there stays as it is.
const APPEND = {
  name: 'append-history',
  text: `
    INSERT INTO order_history (${ENTRIES.names}) SELECT ${ENTRIES.names} FROM ${ENTRIES.from} e
    ON CONFLICT DO NOTHING`,
};

// Input: order id, a limit. Output: the newest entries, oldest first.
const OF_ORDER = {
  name: 'history-of-order',
  text: `SELECT * FROM (
      SELECT at, event_id, event_type, producer, payload FROM order_history WHERE order_id = $1
      ORDER BY at DESC, event_id DESC LIMIT $2) newest
    ORDER BY at, event_id`,
};

interface HistoryRow {
  at: Date;
  event_id: string;
  event_type: string;
  producer: string;
  payload: unknown;
}

export function postgresHistory(pool: pg.Pool): History {
  return {
    async append(tx, events) {
      const entries = events.map((event) => ({
        order_id: event.orderId,
        at: event.occurredAt,
        event_id: asUuid(event.eventId),
        event_type: event.eventType,
        producer: event.producer.slice(0, 64),
        payload: event.payload,
      }));
      await query(clientOf(tx), APPEND, ENTRIES.values(entries));
    },
    async of(orderId, limit) {
      const { rows } = await query<HistoryRow>(pool, OF_ORDER, [orderId, limit]);
      return rows.map((row) => ({
        eventId: row.event_id,
        eventType: row.event_type,
        at: row.at.getTime(),
        producer: row.producer,
        payload: row.payload,
      }));
    },
  };
}

/** Kitchen tickets. */
import type pg from 'pg';
import type { OrderId } from '../../../domain/order.ts';
import { toRfc3339 } from '../../../domain/schedule.ts';
import type { Ticket, Tickets } from '../../../service/restaurants/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { query } from '../database.ts';
import { clientOf } from '../transactions.ts';

const ROWS = bulkParameters({
  order_id: 'text',
  restaurant_id: 'words',
  state: 'text',
  opened_at: 'timestamptz',
  answered_at: 'timestamptz',
  estimated_ready_at: 'timestamptz',
  reason: 'words',
  closed_at: 'timestamptz',
});
const COLUMNS = ROWS.names;

const LOCK = {
  name: 'lock-tickets',
  text: `SELECT ${COLUMNS} FROM tickets WHERE order_id = ANY($1::text[]) ORDER BY order_id FOR UPDATE`,
};

// Input: tickets; those that are there are changed.
const SAVE = {
  name: 'save-tickets',
  text: `INSERT INTO tickets (${COLUMNS})
    SELECT ${COLUMNS} FROM ${ROWS.from} r
    ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, answered_at = excluded.answered_at,
      estimated_ready_at = excluded.estimated_ready_at, reason = excluded.reason, closed_at = excluded.closed_at`,
};

// Input: restaurant, the last ticket of the page before, a limit. Output: the next page, oldest first.
const LIST_OPEN = {
  name: 'list-open-tickets',
  text: `SELECT ${COLUMNS} FROM tickets WHERE restaurant_id = $1 AND state IN ('OPEN', 'ACCEPTED')
    AND (opened_at, order_id) > ($2, $3) ORDER BY opened_at, order_id LIMIT $4`,
};

interface TicketRow {
  order_id: OrderId;
  restaurant_id: string;
  state: Ticket['state'];
  opened_at: Date;
  answered_at: Date | null;
  estimated_ready_at: Date | null;
  reason: string | null;
  closed_at: Date | null;
}

export function postgresTickets(pool: pg.Pool): Tickets {
  return {
    async lock(tx, orderIds) {
      const { rows } = await query<TicketRow>(clientOf(tx), LOCK, [orderIds]);
      return new Map(rows.map((row) => [row.order_id, toTicket(row)]));
    },
    async save(tx, tickets) {
      if (tickets.length > 0) await query(clientOf(tx), SAVE, ROWS.values(tickets.map(toRow)));
    },
    async listOpen(restaurantId, { limit, after }) {
      const from = after ? new Date(after.openedAt) : '-infinity';
      const { rows } = await query<TicketRow>(pool, LIST_OPEN, [
        restaurantId,
        from,
        after?.orderId ?? '',
        limit,
      ]);
      return rows.map(toTicket);
    },
  };
}

function toTicket(row: TicketRow): Ticket {
  return {
    orderId: row.order_id,
    restaurantId: row.restaurant_id,
    state: row.state,
    openedAt: row.opened_at.getTime(),
    ...(row.answered_at ? { answeredAt: row.answered_at.getTime() } : {}),
    ...(row.estimated_ready_at ? { estimatedReadyAt: row.estimated_ready_at.getTime() } : {}),
    ...(row.reason === null ? {} : { reason: row.reason }),
    ...(row.closed_at ? { closedAt: row.closed_at.getTime() } : {}),
  };
}

function toRow(ticket: Ticket) {
  const time = (at: number | undefined) => (at === undefined ? undefined : toRfc3339(at));
  return {
    order_id: ticket.orderId,
    restaurant_id: ticket.restaurantId,
    state: ticket.state,
    opened_at: toRfc3339(ticket.openedAt),
    answered_at: time(ticket.answeredAt),
    estimated_ready_at: time(ticket.estimatedReadyAt),
    reason: ticket.reason,
    closed_at: time(ticket.closedAt),
  };
}

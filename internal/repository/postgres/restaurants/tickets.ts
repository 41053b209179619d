/** Stores kitchen tickets in Postgres. */
import { and, eq, getTableColumns, inArray, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { Ticket, Tickets } from '../../../service/restaurants/ports.ts';
import { bulkInsert } from '../bulk-parameters.ts';
import { clientOf } from '../database.ts';
import { attempt, isAnyOf, on, prepared } from '../queries.ts';
import { tickets } from '../schema/restaurants.ts';

const columns = getTableColumns(tickets);
const { orderId, restaurantId, openedAt, ...changing } = columns;

const lock = prepared('lock-tickets', (db) =>
  db.select().from(tickets).where(isAnyOf(orderId, 'ids')).orderBy(orderId).for('update'),
);
const save = bulkInsert('save-tickets', tickets, columns, {
  target: [orderId],
  update: Object.values(changing),
});

export function postgresTickets(pool: pg.Pool): Tickets {
  return {
    async lock(tx, ids) {
      const rows = await lock(clientOf(tx), { ids });
      return new Map(rows.map((row) => [row.orderId, toTicket(row)]));
    },
    save: (tx, saved) => save(clientOf(tx), saved),
    async listOpen(restaurant, { limit, after }) {
      const page = on(pool)
        .select()
        .from(tickets)
        .where(
          and(
            eq(restaurantId, restaurant),
            inArray(tickets.state, ['OPEN', 'ACCEPTED']),
            after &&
              sql`(${openedAt}, ${orderId}) > (${sql.param(after.openedAt, openedAt)}::timestamptz, ${after.orderId})`,
          ),
        )
        .orderBy(openedAt, orderId)
        .limit(limit);
      return (await attempt(page)).map(toTicket);
    },
  };
}

function toTicket(row: typeof tickets.$inferSelect): Ticket {
  return {
    orderId: row.orderId,
    restaurantId: row.restaurantId,
    state: row.state,
    openedAt: row.openedAt,
    ...(row.answeredAt === null ? {} : { answeredAt: row.answeredAt }),
    ...(row.estimatedReadyAt === null ? {} : { estimatedReadyAt: row.estimatedReadyAt }),
    ...(row.reason === null ? {} : { reason: row.reason }),
    ...(row.closedAt === null ? {} : { closedAt: row.closedAt }),
    ...(row.readyAt === null ? {} : { readyAt: row.readyAt }),
  };
}

/** The cursors of the event log: how far each consumer has come, stored with its effects. */
import { and, eq, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { LogPosition } from '../../../service/ports.ts';
import { type Connection, prepared, SERVER } from '../queries.ts';
import { consumerCursors } from '../schema/stream.ts';

const findCursor = prepared('find-cursor', (db) =>
  db
    .select({
      transactionId: consumerCursors.transactionId,
      position: consumerCursors.position,
      server: SERVER,
    })
    .from(consumerCursors)
    .where(eq(consumerCursors.consumer, sql.placeholder('consumer'))),
);
const openCursor = prepared('open-cursor', (db) =>
  db
    .insert(consumerCursors)
    .values({ consumer: sql.placeholder('consumer') })
    .onConflictDoNothing(),
);
const updateCursor = prepared('move-cursor', (db) =>
  db
    .update(consumerCursors)
    .set({
      transactionId: sql`${sql.placeholder('toId')}`,
      position: sql`${sql.placeholder('toPosition')}`,
      movedAt: sql`now()`,
    })
    .where(
      and(
        eq(consumerCursors.consumer, sql.placeholder('consumer')),
        eq(consumerCursors.transactionId, sql.placeholder('fromId')),
        sql`${consumerCursors.position} = ${sql.placeholder('fromPosition')}`,
        sql`coalesce(${sql.placeholder('server')}, ${SERVER}) = ${SERVER}`,
      ),
    ),
);

/** The cursor of a consumer, which is made if it is missing. */
export async function cursorOf(pool: pg.Pool, consumer: string): Promise<LogPosition> {
  for (;;) {
    const [row] = await findCursor(pool, { consumer });
    if (row) return row;
    await openCursor(pool, { consumer });
  }
}

/** Moves a cursor; false if another reader has moved it since, or the server is not the one that `to` was read from. */
export async function moveCursor(
  connection: Connection,
  consumer: string,
  from: LogPosition,
  to: LogPosition,
): Promise<boolean> {
  const moved = await updateCursor(connection, {
    consumer,
    fromId: from.transactionId,
    fromPosition: from.position,
    toId: to.transactionId,
    toPosition: to.position,
    server: to.server ?? null,
  });
  return moved.rowCount === 1;
}

/** Stores dead letters, and the deliveries parked behind them. */
import {
  and,
  asc,
  count,
  eq,
  getTableColumns,
  gt,
  inArray,
  isNotNull,
  isNull,
  notExists,
  or,
  sql,
} from 'drizzle-orm';
import { alias } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import { ERASED, withoutPerson } from '../../../domain/erasure.ts';
import { deadLetterTopic } from '../../../domain/topics.ts';
import type { DeadLetter, NewDeadLetter } from '../../../service/ports.ts';
import type { DeadLetterGroups, DeadLetters } from '../../../service/stream/ports.ts';
import { bulkInsert } from '../bulk-parameters.ts';
import { erasedAmong } from '../erased-orders.ts';
import { attempt, type Connection, isAnyOf, on, prepared, statement } from '../queries.ts';
import { deadLetters, processedEvents } from '../schema/stream.ts';
import { asUuid } from './event-ids.ts';
import { appendEntries } from './event-log.ts';
import { beginning, countGroups, isDead, isIn } from './letter-groups.ts';

// By hand: reads the handled events and the parked orders of a batch in one round trip.
const screen = statement<{ seen: string[]; parked: string[] }>(
  'screen-deliveries',
  sql`select
    array(select ${processedEvents.eventId} from ${processedEvents}
      where ${processedEvents.consumer} = ${sql.placeholder('consumer')}
        and ${processedEvents.eventId} = any(${sql.placeholder('eventIds')}::uuid[])) as seen,
    array(select distinct ${deadLetters.orderId} from ${deadLetters}
      where ${deadLetters.consumer} = ${sql.placeholder('consumer')} and ${isAnyOf(deadLetters.orderId, 'orderIds')}) as parked`,
);

const { consumer, eventId, orderId, topic, record, error, retryCount } = deadLetters;
const insert = bulkInsert(
  'insert-dead-letters',
  deadLetters,
  { consumer, eventId, orderId, topic, record, error, retryCount },
  { target: [consumer, eventId] },
);

const LONGEST_RECORD_BYTES = 900_000;
/** Characters. */
const LONGEST_HEADER = 1_000;

const REQUESTED = { replayRequestedAt: sql`now()` };

// Letters of one order. A parked letter without a dead one before it was parked while the last dead letter was being
// replayed or discarded, so it is due for replay too.
const requested = prepared('requested-letters', (db) => {
  const before = alias(deadLetters, 'b');
  const isFirst = notExists(
    db
      .select({ one: sql`1` })
      .from(before)
      .where(
        and(
          eq(before.consumer, consumer),
          eq(before.orderId, orderId),
          sql`${before.id} < ${deadLetters.id}`,
        ),
      ),
  );
  const next = db
    .select({ orderId })
    .from(deadLetters)
    .where(
      and(
        eq(consumer, sql.placeholder('consumer')),
        or(isNotNull(deadLetters.replayRequestedAt), and(isNull(error), isFirst)),
      ),
    )
    .orderBy(deadLetters.replayRequestedAt, deadLetters.id)
    .limit(1);
  return db
    .select()
    .from(deadLetters)
    .where(and(eq(consumer, sql.placeholder('consumer')), sql`${orderId} = (${next})`))
    .orderBy(deadLetters.id);
});

const remove = prepared('remove-letter', (db) =>
  db.delete(deadLetters).where(eq(deadLetters.id, sql.placeholder('id'))),
);

function toLetter({ replayRequestedAt: _, error, ...row }: typeof deadLetters.$inferSelect): DeadLetter {
  return { ...row, ...(error === null ? {} : { error }) };
}

/** Stores the letters, and publishes the dead ones on their dead-letter topic with the standard headers. */
export async function addDeadLetters(connection: Connection, added: readonly NewDeadLetter[]): Promise<void> {
  if (added.length === 0) return;
  const erased = await erasedAmong(
    connection,
    added.map(({ orderId }) => orderId),
  );
  const letters = added.map((letter) => (erased.has(letter.orderId) ? eraseLetter(letter) : letter));
  await insert(connection, letters);
  const dead = letters.filter((letter) => letter.error !== undefined);
  await appendEntries(
    connection,
    dead.map((letter) => ({
      eventType: 'dead-letter',
      orderId: (letter.key ?? letter.orderId).slice(0, 64),
      topic: deadLetterTopic(letter.topic),
      record: publishable(letter.record),
      headers: {
        'x-retry-count': String(letter.retryCount),
        'x-original-topic': letter.topic,
        'x-error': (letter.error ?? '').slice(0, LONGEST_HEADER),
        'x-consumer': letter.consumer,
      },
    })),
  );
}

/** What went wrong may quote the record. */
function eraseLetter(letter: NewDeadLetter): NewDeadLetter {
  const { record, error } = letter;
  return { ...letter, record: withoutPerson(record), ...(error === undefined ? {} : { error: ERASED }) };
}

/** The record, or the beginning of its JSON as text if it may exceed a broker's limit for a record (1 MiB by default). */
function publishable(record: unknown): unknown {
  const json = Buffer.from(JSON.stringify(record) ?? 'null');
  if (json.length <= LONGEST_RECORD_BYTES) return record;
  // Text that is JSON once more may take twice the bytes.
  return json.subarray(0, LONGEST_RECORD_BYTES / 2).toString();
}

/** How many dead letters each consumer has, those parked behind them not counted. */
export async function countLetters(pool: pg.Pool): Promise<ReadonlyMap<string, number>> {
  const rows = on(pool)
    .select({ consumer, letters: count() })
    .from(deadLetters)
    .where(isDead)
    .groupBy(consumer);
  return new Map((await attempt(rows)).map(({ consumer, letters }) => [consumer, letters]));
}

export async function removeLetter(connection: Connection, id: string): Promise<boolean> {
  return (await remove(connection, { id })).rowCount === 1;
}

export function postgresDeadLetters(pool: pg.Pool): DeadLetters & DeadLetterGroups {
  const db = on(pool);
  /** The condition for the letters of the same consumer and order. */
  const ofOrder = (letter: Pick<DeadLetter, 'consumer' | 'orderId'>) =>
    and(eq(consumer, letter.consumer), eq(orderId, letter.orderId));
  const find: DeadLetters['find'] = async (id) => {
    const columns = { ...getTableColumns(deadLetters), recordText: sql<string>`${record}::text` };
    const [row] = await attempt(db.select(columns).from(deadLetters).where(eq(deadLetters.id, id)));
    return row && { ...toLetter(row), recordText: row.recordText };
  };
  return {
    find,
    async screen(consumer, eventIds, orderIds) {
      const names = new Map(eventIds.map((id) => [asUuid(id), id]));
      const { rows } = await screen(pool, { consumer, eventIds: [...names.keys()], orderIds });
      const seen = rows[0]?.seen.map((id) => names.get(id) as string);
      return { seen: new Set(seen), parked: new Set(rows[0]?.parked) };
    },
    async list({ limit, after = '0', ...group }) {
      const isWanted = and(isIn(group), gt(deadLetters.id, after));
      const rows = db.select().from(deadLetters).where(isWanted).orderBy(asc(deadLetters.id)).limit(limit);
      return (await attempt(rows)).map(toLetter);
    },
    async requestReplay(id) {
      // Requests the whole order, so that the deliveries parked behind the letter follow it.
      const letter = await find(id);
      if (!letter) return false;
      await attempt(db.update(deadLetters).set(REQUESTED).where(ofOrder(letter)));
      return true;
    },
    async discard(id) {
      const discarded = attempt(
        db.transaction(async (tx) => {
          const [letter] = await tx
            .delete(deadLetters)
            .where(eq(deadLetters.id, id))
            .returning({ consumer, orderId });
          if (letter) await tx.update(deadLetters).set(REQUESTED).where(ofOrder(letter));
          return letter !== undefined;
        }),
      );
      return discarded;
    },
    groups: () => countGroups(db),
    async requestReplayOf(group) {
      // Requests whole orders, so that the deliveries parked behind the letters follow them.
      const orders = db.select({ orderId }).from(deadLetters).where(isIn(group));
      const isAsked = and(eq(consumer, group.consumer), group.error ? inArray(orderId, orders) : undefined);
      const asked = db.update(deadLetters).set(REQUESTED).where(isAsked).returning({ beginning });
      return (await attempt(asked)).filter(
        ({ beginning }) => beginning !== null && beginning === (group.error ?? beginning),
      ).length;
    },
    async discardAllOf(group) {
      // The deliveries parked behind them now have no dead letter before them, so they are due for replay.
      return (await attempt(db.delete(deadLetters).where(isIn(group)))).rowCount ?? 0;
    },
    requested: async (consumer) => (await requested(pool, { consumer })).map(toLetter),
    async recordFailure(letter, fault) {
      const isThis = eq(deadLetters.id, letter.id);
      const update = db
        .update(deadLetters)
        .set({
          error: sql`case when ${isThis} then ${fault} else ${error} end`,
          retryCount: sql`${retryCount} + case when ${isThis} then 1 else 0 end`,
          replayRequestedAt: null,
        })
        .where(ofOrder(letter));
      await attempt(update);
    },
  };
}

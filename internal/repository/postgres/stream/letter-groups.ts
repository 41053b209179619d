/** Groups the dead letters by their consumer and the beginning of their error. */
import { and, desc, eq, isNotNull, max, min, type SQL, sql } from 'drizzle-orm';
import { type CountedGroup, ERROR_LENGTH, type LetterGroup } from '../../../service/stream/ports.ts';
import { attempt, type on } from '../queries.ts';
import { deadLetters } from '../schema/stream.ts';

/** Letters that are looked through for groups: a bound that the primary key gives, however many there are. */
const MOST_GROUPED = 10_000;
const MOST_GROUPS = 200;

const { id, consumer, error, createdAt, replayRequestedAt } = deadLetters;
export const isDead = isNotNull(error);
/** Null for a parked event. */
export const beginning = sql<string | null>`left(${error}, ${sql.raw(String(ERROR_LENGTH))})`;

export const isIn = (group: Partial<LetterGroup>) =>
  and(
    isDead,
    group.consumer === undefined ? undefined : eq(consumer, group.consumer),
    group.error === undefined ? undefined : eq(beginning, group.error),
  );

export async function countGroups(
  db: ReturnType<typeof on>,
): Promise<{ groups: readonly CountedGroup[]; isComplete: boolean }> {
  const newest = db
    .select({ consumer, error: beginning.as('error'), createdAt, replayRequestedAt })
    .from(deadLetters)
    .orderBy(desc(id))
    .limit(MOST_GROUPED)
    .as('newest');
  const count = sql<number>`count(*)::int`;
  const groups = db
    .select({
      consumer: newest.consumer,
      error: sql<string>`${newest.error}`,
      count,
      replaying: sql<number>`count(${newest.replayRequestedAt})::int`,
      // There is no group without a letter.
      firstAt: min(newest.createdAt) as SQL<number>,
      lastAt: max(newest.createdAt) as SQL<number>,
    })
    .from(newest)
    .where(isNotNull(newest.error))
    .groupBy(newest.consumer, newest.error)
    .orderBy(desc(count), newest.consumer, newest.error)
    .limit(MOST_GROUPS + 1);
  const older = db.select({ id }).from(deadLetters).orderBy(desc(id)).offset(MOST_GROUPED).limit(1);
  const [found, others] = await Promise.all([attempt(groups), attempt(older)]);
  return {
    groups: found.slice(0, MOST_GROUPS),
    isComplete: found.length <= MOST_GROUPS && others.length === 0,
  };
}

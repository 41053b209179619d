/** Erases what the event log, the dead letters and the stored responses hold about a customer, in pages by their keys. */
import { and, eq, gt, sql } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { ERASED, withoutPerson } from '../../../domain/erasure.ts';
import type { OrderId } from '../../../domain/order.ts';
import { attempt } from '../queries.ts';
import { idempotencyKeys } from '../schema/orders.ts';
import { deadLetters, events } from '../schema/stream.ts';

/** Rows that one statement looks at. */
const PAGE = 5_000;
const KEYS_PAGE = 500;

export interface Whose {
  readonly customerId: string;
  readonly ids: ReadonlySet<OrderId>;
}

/** The value without the person's data; undefined if it holds none. */
function erasedOf(value: unknown): unknown {
  const erased = typeof value === 'string' ? ERASED : withoutPerson(value);
  return JSON.stringify(erased) === JSON.stringify(value) ? undefined : erased;
}

/** True if a record or response that stands under no order's id names the customer or one of the orders. */
function isAbout(value: unknown, { customerId, ids }: Whose): boolean {
  if (typeof value === 'string') return value.includes(JSON.stringify(customerId));
  if (typeof value !== 'object' || value === null) return false;
  const { id, orderId, order_id, customerId: customer, user_id, payload } = value as Record<string, unknown>;
  return (
    [id, orderId, order_id].some((name) => typeof name === 'string' && ids.has(name as OrderId)) ||
    customer === customerId ||
    user_id === customerId ||
    isAbout(payload, { customerId, ids })
  );
}

export async function eraseEvents(db: NodePgDatabase, whose: Whose): Promise<number> {
  const { transactionId, position, orderId, topic, record, headers } = events;
  const key = sql`(${transactionId}, ${position})`;
  // The records of topics have a key that need not be the order's; those of all other events are many, and are not read.
  const onTopic = sql`case when ${topic} is not null then ${record} end`;
  let last = { transactionId: '0', position: '0' };
  let count = 0;
  for (;;) {
    const page = await attempt(
      db
        .select({ transactionId, position, orderId, topic, onTopic })
        .from(events)
        .where(sql`${key} > (${last.transactionId}::xid8, ${last.position}::bigint)`)
        .orderBy(transactionId, position)
        .limit(PAGE),
    );
    for (const row of page) {
      const isOwn = whose.ids.has(row.orderId as OrderId);
      if (!isOwn && !(row.topic !== null && isAbout(row.onTopic, whose))) continue;
      const isThis = and(eq(transactionId, row.transactionId), eq(position, row.position));
      const [found] = await attempt(db.select({ record, headers }).from(events).where(isThis));
      const erased = found && erasedOf(found.record);
      if (!found || erased === undefined) continue;
      const set = { record: erased, headers: withoutPerson(found.headers) as typeof found.headers };
      await attempt(db.update(events).set(set).where(isThis));
      count += 1;
    }
    const end = page.at(-1);
    if (!end || page.length < PAGE) return count;
    last = end;
  }
}

export async function eraseLetters(db: NodePgDatabase, whose: Whose): Promise<number> {
  const { id, orderId, record, error } = deadLetters;
  let last = '0';
  let count = 0;
  for (;;) {
    const page = await attempt(
      db
        .select({ id, orderId, record, error })
        .from(deadLetters)
        .where(gt(id, last))
        .orderBy(id)
        .limit(KEYS_PAGE),
    );
    for (const letter of page) {
      if (!whose.ids.has(letter.orderId as OrderId) && !isAbout(letter.record, whose)) continue;
      const erased = erasedOf(letter.record);
      if (erased === undefined) continue;
      // What went wrong may quote the record.
      const set = { record: erased, ...(letter.error === null ? {} : { error: ERASED }) };
      await attempt(db.update(deadLetters).set(set).where(eq(id, letter.id)));
      count += 1;
    }
    const end = page.at(-1);
    if (!end || page.length < KEYS_PAGE) return count;
    last = end.id;
  }
}

export async function eraseAnswers(db: NodePgDatabase, whose: Whose): Promise<number> {
  const { principal, operation, key, response } = idempotencyKeys;
  let last = { principal: '', operation: '', key: '' };
  let count = 0;
  for (;;) {
    const page = await attempt(
      db
        .select({ principal, operation, key, response })
        .from(idempotencyKeys)
        .where(
          sql`(${principal}, ${operation}, ${key}) > (${last.principal}, ${last.operation}, ${last.key})`,
        )
        .orderBy(principal, operation, key)
        .limit(KEYS_PAGE),
    );
    for (const row of page) {
      if (row.principal !== whose.customerId && !isAbout(row.response.body, whose)) continue;
      const body = erasedOf(row.response.body);
      if (body === undefined) continue;
      const isThis = and(eq(principal, row.principal), eq(operation, row.operation), eq(key, row.key));
      await attempt(
        db
          .update(idempotencyKeys)
          .set({ response: { ...row.response, body } })
          .where(isThis),
      );
      count += 1;
    }
    const end = page.at(-1);
    if (!end || page.length < KEYS_PAGE) return count;
    last = end;
  }
}

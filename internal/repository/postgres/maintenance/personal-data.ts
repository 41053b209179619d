/** Erases what the tables hold about a customer, and remembers whose data were erased. */
import { and, eq, inArray, isNotNull, isNull, lt, not, notInArray, or, type SQL, sql } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import type { AnyPgColumn } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import { ERASED, ERASED_ADDRESS, ERASED_FACT } from '../../../domain/erasure.ts';
import { isFinal, ORDER_STATUSES, type OrderId } from '../../../domain/order.ts';
import type { ErasedRows, PersonalData } from '../../../service/maintenance/ports.ts';
import { clientOf } from '../database.ts';
import { attempt, on } from '../queries.ts';
import { deliveries } from '../schema/delivery.ts';
import { erasedOrders, erasures } from '../schema/erasure.ts';
import { notifications } from '../schema/notifications.ts';
import { orders } from '../schema/orders.ts';
import { payments } from '../schema/payments.ts';
import { tickets } from '../schema/restaurants.ts';
import { eraseAnswers, eraseEvents, eraseLetters } from './traces.ts';

const ENDED = ORDER_STATUSES.filter(isFinal);
/** By the timeline, since the id of an order that was deleted may be placed again. */
const HAS_FACT = sql`${orders.timeline} @> ${JSON.stringify([{ fact: ERASED_FACT }])}::jsonb`;
const OPTIONAL = sql`'{contact,paymentToken,specialInstructions}'::text[]`;

/** The SQL of `withoutWords`. */
function withoutWordsOf(column: AnyPgColumn): SQL {
  return sql`case when ${column} is null or ${column} ~ '^[A-Z][A-Z0-9_]*$' then ${column} else ${ERASED} end`;
}

export function postgresPersonalData(pool: pg.Pool): PersonalData {
  const db = on(pool);
  return {
    async ordersOf(customerId, which, limit) {
      const isWanted =
        which === 'open'
          ? notInArray(orders.status, ENDED)
          : and(inArray(orders.status, ENDED), not(HAS_FACT));
      const found = db
        .select({ id: orders.orderId })
        .from(orders)
        .where(and(eq(orders.customerId, customerId), isWanted))
        .orderBy(orders.orderId)
        .limit(limit);
      return (await attempt(found)).map(({ id }) => id);
    },
    async erasedOf(customerId) {
      const found = db
        .select({ id: erasedOrders.orderId })
        .from(erasedOrders)
        .where(eq(erasedOrders.customerId, customerId))
        .orderBy(erasedOrders.orderId);
      return (await attempt(found)).map(({ id }) => id);
    },
    eraseOrders: (tx, customerId, ids, at) => attempt(eraseOrders(on(clientOf(tx)), customerId, ids, at)),
    async eraseTraces(customerId, ids) {
      const whose = { customerId, ids };
      return {
        events: await eraseEvents(db, whose),
        letters: await eraseLetters(db, whose),
        answers: await eraseAnswers(db, whose),
      };
    },
    async note(customerId, step, at) {
      const requested = { requestedAt: at, erasedAt: null, settledAt: null };
      await attempt(
        step === 'requested'
          ? db
              .insert(erasures)
              .values({ customerId, ...requested })
              .onConflictDoUpdate({ target: erasures.customerId, set: requested })
          : db
              .update(erasures)
              .set(step === 'erased' ? { erasedAt: at } : { settledAt: at })
              .where(
                and(
                  eq(erasures.customerId, customerId),
                  // It may have been requested anew meanwhile.
                  step === 'settled' ? isNotNull(erasures.erasedAt) : undefined,
                ),
              ),
      );
    },
    async unfinished({ requested, erased }) {
      const found = db
        .select({ customerId: erasures.customerId, erasedAt: erasures.erasedAt })
        .from(erasures)
        .where(
          and(
            isNull(erasures.settledAt),
            or(
              and(isNull(erasures.erasedAt), lt(erasures.requestedAt, requested)),
              lt(erasures.erasedAt, erased),
            ),
          ),
        );
      return (await attempt(found)).map(({ customerId, erasedAt }) => ({
        customerId,
        isErased: erasedAt !== null,
      }));
    },
  };
}

async function eraseOrders(
  db: NodePgDatabase,
  customerId: string,
  ids: readonly OrderId[],
  erasedAt: number,
): Promise<Partial<ErasedRows>> {
  if (ids.length === 0) return {};
  const ofOrders = (column: AnyPgColumn) => inArray(column, [...ids]);
  await db
    .insert(erasedOrders)
    .values(ids.map((orderId) => ({ orderId, customerId, erasedAt })))
    .onConflictDoNothing();
  await db
    .update(orders)
    .set({
      customerName: sql`case when ${orders.customerName} is not null then ${ERASED} end`,
      content: sql`case when ${orders.content}->'deliveryAddress' is null then ${orders.content} - ${OPTIONAL}
        else jsonb_set(${orders.content} - ${OPTIONAL}, '{deliveryAddress}', ${JSON.stringify(ERASED_ADDRESS)}) end`,
    })
    .where(ofOrders(orders.orderId));
  await db
    .update(deliveries)
    .set({ dropoff: null })
    .where(and(ofOrders(deliveries.orderId), isNotNull(deliveries.dropoff)));
  for (const table of [tickets, payments])
    await db
      .update(table)
      .set({ reason: withoutWordsOf(table.reason) })
      .where(and(ofOrders(table.orderId), isNotNull(table.reason)));
  // A message that was not sent yet will not be: its recipient is gone.
  const messages = await db
    .update(notifications)
    .set({
      recipient: ERASED,
      variables: sql`${notifications.variables} - 'reason'`,
      error: sql`case when ${notifications.error} is not null then ${ERASED} end`,
      state: sql`case when ${notifications.state} = 'PENDING' then 'GIVEN_UP' else ${notifications.state} end`,
    })
    .where(and(ofOrders(notifications.orderId), sql`${notifications.recipient} <> ${ERASED}`));
  return { messages: messages.rowCount ?? 0 };
}

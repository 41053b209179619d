/** The column types of the schema on a real Postgres: values are read back as they were written. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eq } from 'drizzle-orm';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import type pg from 'pg';
import type { OrderId } from '../../internal/domain/order.ts';
import { migrateDatabase, openPool } from '../../internal/repository/postgres/database.ts';
import { orders } from '../../internal/repository/postgres/schema/orders.ts';
import { timers } from '../../internal/repository/postgres/schema/scheduling.ts';
import { events } from '../../internal/repository/postgres/schema/stream.ts';
import { NOON } from '../support/manual-clock.ts';
import { freshDatabase } from '../support/servers.ts';

const ORDER = {
  orderId: 'order-1' as OrderId,
  customerId: null,
  customerName: 'Zoë\n"Z"',
  restaurantId: null,
  status: 'CREATED',
  reason: null,
  total: 999_999_999_999,
  currency: 'USD',
  content: { items: [{ itemId: 'i1', quantity: 2 }] },
  scheduledAt: NOON + 1,
  dueAt: NOON + 1,
  createdAt: NOON,
  updatedAt: NOON + 999,
  version: 1,
  timeline: [{ status: 'CREATED', at: NOON }],
  fingerprint: 'f1',
} as const;

describe('the column types', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  let db: NodePgDatabase;

  before(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    // One connection, so that SET TimeZone also applies to the queries after it.
    pool = openPool(database.url, { max: 1, onError: () => {} });
    db = drizzle(pool);
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });

  it('money is read in minor units and time in epoch milliseconds, whatever the time zone of the session', async () => {
    await db.insert(orders).values(ORDER);
    for (const zone of ['UTC', 'Asia/Kolkata', 'America/St_Johns']) {
      await pool.query(`SET TimeZone = '${zone}'`);
      assert.deepEqual(await db.select().from(orders), [ORDER], zone);
    }
    for (const total of [0, 1, 10, 1_999, 115]) {
      const [stored] = await db.update(orders).set({ total }).returning();
      assert.equal(stored?.total, total);
    }
  });

  it('a time in any year that Postgres supports is read back unchanged', async () => {
    for (const dueAt of [
      Date.parse('0099-12-31T23:59:59.001Z'),
      0,
      Date.UTC(9999, 11, 31),
      Date.UTC(12_026, 0),
    ]) {
      await db.insert(timers).values({ orderId: ORDER.orderId, kind: 'eta', dueAt });
      assert.deepEqual(
        await db.delete(timers).where(eq(timers.dueAt, dueAt)).returning({ dueAt: timers.dueAt }),
        [{ dueAt }],
      );
    }
  });

  it('JSON of any type is parsed once, and characters that Postgres cannot store are replaced', async () => {
    const headers = { source: 'half \ud800 and \u0000' };
    for (const record of [{ b: 1, a: [null] }, 'text', '{"text":"that looks like JSON"}', 7, false, []]) {
      const [stored] = await db
        .insert(events)
        .values({ eventType: 't', orderId: 'o', record, headers })
        .returning();
      assert.deepEqual(stored?.record, record);
      assert.deepEqual(stored?.headers, { source: 'half \ufffd and \ufffd' });
    }
  });

  it('a 64-bit number is read as decimal text, and can be queried by that text', async () => {
    const [stored] = await db.insert(events).values({ eventType: 't', orderId: 'o', record: 0 }).returning();
    assert.match(stored?.position ?? '', /^\d+$/);
    assert.match(stored?.transactionId ?? '', /^\d+$/);
    const found = await db.select().from(events).where(eq(events.transactionId, stored!.transactionId));
    assert.deepEqual(found, [stored]);
  });
});

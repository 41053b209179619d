/** The column types of the schema on a real Postgres: a value comes back as it was written. */
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

describe('a value of the schema', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  let db: NodePgDatabase;

  before(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    // One connection, so that a setting made by one query holds for the next.
    pool = openPool(database.url, { max: 1, onError: () => {} });
    db = drizzle(pool);
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });

  it('is money in minor units and time in epoch milliseconds, whatever the time zone of the session', async () => {
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

  it('is a time of any year that Postgres knows', async () => {
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

  it('is JSON of any kind, read once, without what Postgres cannot hold', async () => {
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

  it('is decimal text where it has 64 bits, and can be asked for by it', async () => {
    const [stored] = await db.insert(events).values({ eventType: 't', orderId: 'o', record: 0 }).returning();
    assert.match(stored?.position ?? '', /^\d+$/);
    assert.match(stored?.transactionId ?? '', /^\d+$/);
    const found = await db.select().from(events).where(eq(events.transactionId, stored!.transactionId));
    assert.deepEqual(found, [stored]);
  });
});

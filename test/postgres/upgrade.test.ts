/** Migrates a filled database of each earlier version: its rows stay unchanged, and its order can proceed. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { it } from 'node:test';
import pg from 'pg';
import type { OrderId } from '../../internal/domain/order.ts';
import { MIGRATIONS, migrateDatabase, openPool } from '../../internal/repository/postgres/database.ts';
import { postgresOrderStore } from '../../internal/repository/postgres/orders/order-store.ts';
import { postgresEventLog } from '../../internal/repository/postgres/stream/event-log.ts';
import { postgresTransactions } from '../../internal/repository/postgres/transactions.ts';
import { changeOrder } from '../../internal/service/orders/change-order.ts';
import { BEGINNING } from '../../internal/service/ports.ts';
import { manualClock, NOON } from '../support/manual-clock.ts';
import { recordingLog } from '../support/recording-log.ts';
import { readJournal } from '../support/schema.ts';
import { freshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';

const AT = '2030-01-01T12:00:00.123Z';
const CREATED_ID = '5f0c2f6e-7a57-4bb0-8f0a-0d2b8f3f5a01';
const CREATED = {
  eventId: CREATED_ID,
  eventType: 'order.created',
  schemaVersion: 1,
  occurredAt: AT,
  producedAt: AT,
  orderId: 'order-1',
  correlationId: 'order-1',
  producer: 'order-service',
  payload: { version: 1, dueAt: AT, total: { amount: '23.50', currency: 'USD' } },
};
const ORDER = {
  status: 'CREATED',
  total_amount: '23.50',
  currency: 'USD',
  due_at: AT,
  created_at: AT,
  updated_at: AT,
  version: 1,
  timeline: [{ status: 'CREATED', at: NOON + 123 }],
  fingerprint: 'f1',
};

/** Rows of every table as earlier versions stored them; literals, since rows from the code change with it. */
const ROWS: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> = {
  orders: [
    {
      ...ORDER,
      order_id: 'order-1',
      customer_id: 'c1',
      customer_name: 'Zoë "Z"\nO\'Hara',
      restaurant_id: 'r1',
      content: { items: [{ itemId: 'i1', quantity: 2 }], deliveryAddress: { street: '1 Churchgate' } },
      scheduled_at: AT,
    },
    {
      ...ORDER,
      order_id: 'order-2',
      status: 'FAILED',
      reason: 'no kitchen',
      total_amount: '9999999999.99',
      version: 2,
      timeline: [...ORDER.timeline, { status: 'FAILED', at: NOON + 124 }],
    },
  ],
  events: [
    {
      event_id: CREATED_ID,
      event_type: 'order.created',
      order_id: 'order-1',
      record: CREATED,
      stored_at: AT,
    },
    { event_type: '', order_id: '', topic: 'orders', record: 'no object', headers: { source: 'elsewhere' } },
  ],
  consumer_cursors: [{ consumer: 'relay', transaction_id: '7', position: '9', moved_at: AT }],
  processed_events: [{ consumer: 'relay', event_id: CREATED_ID, processed_at: AT }],
  dead_letters: [
    {
      consumer: 'relay',
      event_id: 'e1',
      order_id: 'order-1',
      topic: 'orders',
      record: CREATED,
      error: 'broken',
    },
    { consumer: 'relay', event_id: 'e2', order_id: 'order-1', topic: 'orders', record: 0 },
  ],
  idempotency_keys: [
    {
      principal: 'anna',
      operation: 'POST /orders',
      key: 'k1',
      fingerprint: 'f1',
      answer: { status: 201, headers: { location: '/orders/order-1' }, body: { z: 1, a: [] } },
    },
  ],
  restaurants: [
    {
      restaurant_id: 'r1',
      name: 'Lagoon',
      is_active: true,
      acceptance: 'manual',
      address: '',
      latitude: 18.9,
      longitude: 72.8,
      preparation_s: 600,
      created_at: AT,
    },
  ],
  menu_items: [
    { item_id: 'i1', restaurant_id: 'r1', name: 'Pho', price: '11.75', is_active: false, created_at: AT },
  ],
  inventory_items: [{ item_id: 'i1', stock_count: 3, threshold_qty: 1, updated_at: AT }],
  reservations: [
    { order_id: 'order-1', lines: [{ itemId: 'i1', quantity: 2 }], state: 'reserved', reserved_at: AT },
  ],
  payments: [
    {
      order_id: 'order-1',
      currency: 'USD',
      state: 'AUTHORIZED',
      version: 2,
      requested: '23.50',
      authorized: '23.50',
      captured: '0',
      refunded: '0',
      authorization_id: 'a1',
      attempts: 1,
      requested_at: AT,
      authorized_at: AT,
    },
  ],
  tickets: [{ order_id: 'order-1', restaurant_id: 'r1', state: 'OPEN', opened_at: AT }],
  riders: [
    {
      rider_id: 'rider-1',
      name: 'Ravi',
      is_on_duty: true,
      latitude: 18.91,
      longitude: 72.81,
      carrying: 1,
      capacity: 2,
      moved_at: AT,
    },
  ],
  deliveries: [
    {
      order_id: 'order-1',
      state: 'ASSIGNED',
      rider_id: 'rider-1',
      holds_place: true,
      pickup: [18.9, 72.8],
      attempts: 0,
      requested_at: AT,
      assigned_at: AT,
      eta: AT,
      eta_p90: AT,
      eta_at: AT,
    },
  ],
  notifications: [
    {
      order_id: 'order-1',
      template: 'order.confirmed',
      state: 'PENDING',
      recipient: 'c1',
      variables: { orderId: 'order-1' },
      attempts: 0,
      created_at: AT,
    },
  ],
  erasures: [{ customer_id: 'c9', requested_at: AT }],
  erased_orders: [{ order_id: 'order-9', customer_id: 'c9', erased_at: AT }],
  timers: [{ order_id: 'order-1', kind: 'eta', due_at: AT }],
  order_history: [
    {
      order_id: 'order-1',
      at: AT,
      event_id: CREATED_ID,
      event_type: 'order.created',
      producer: 'order-service',
      payload: { version: 1 },
    },
  ],
};

/** Applies only the first `count` migrations, as an earlier version did. */
async function migrateUpTo(url: string, count: number): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-migrations-'));
  try {
    fs.cpSync(MIGRATIONS, folder, { recursive: true });
    const { entries } = readJournal();
    const cut = JSON.stringify({ version: '7', dialect: 'postgresql', entries: entries.slice(0, count) });
    fs.writeFileSync(path.join(folder, 'meta/_journal.json'), cut);
    await migrateDatabase(url, { folder });
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

type Columns = ReadonlyMap<string, readonly string[]>;

/** The columns of each table; partitions are left out, since a query of the table includes their rows. */
async function columnsOf(client: pg.Client): Promise<Columns> {
  const { rows } = await client.query<{ name: string; columns: string[] }>(`
    SELECT relname AS name, array_agg(attname::text) AS columns FROM pg_class c JOIN pg_attribute ON attrelid = c.oid
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      AND relname <> 'migrations' AND attnum > 0 AND NOT attisdropped
    GROUP BY relname`);
  return new Map(rows.map(({ name, columns }) => [name, columns]));
}

async function fill(client: pg.Client, tables: Columns): Promise<void> {
  for (const [table, rows] of Object.entries(ROWS)) {
    if (!tables.has(table)) continue;
    for (const row of rows) {
      const names = Object.keys(row).join(', ');
      const insert = `INSERT INTO ${table} (${names}) SELECT ${names} FROM json_populate_record(NULL::${table}, $1)`;
      await client.query(insert, [JSON.stringify(row)]);
    }
  }
  await client.query('UPDATE scheduler_switch SET paused = true');
}

/** Every row of these tables, with each value cast to text. */
async function dump(client: pg.Client, tables: Columns): Promise<Record<string, unknown[]>> {
  const dumped: Record<string, unknown[]> = {};
  for (const [table, columns] of tables) {
    const texts = columns.map((column) => `${column}::text`).join(', ');
    dumped[table] = (await client.query(`SELECT ${texts} FROM ${table} ORDER BY ${texts}`)).rows;
  }
  return dumped;
}

async function assertOrderProceeds(url: string): Promise<void> {
  const pool = openPool(url, { max: 2, onError: () => {} });
  const log = postgresEventLog(pool, url, recordingLog());
  try {
    const id = 'order-1' as OrderId;
    await changeOrder(
      {
        transactions: postgresTransactions(pool, () => {}),
        clock: manualClock(NOON + 5_000),
        newEventId: () => '5f0c2f6e-7a57-4bb0-8f0a-0d2b8f3f5a02',
      },
      { id, commands: () => [{ type: 'start', dueAt: NOON + 123 }], origin: { producer: 'test' } },
    );
    const [order] = await postgresOrderStore(pool, () => {}).find([id]);
    assert.equal(order?.status, 'PROCESSING');
    assert.deepEqual(order?.timeline, [
      { status: 'CREATED', at: NOON + 123 },
      { status: 'PROCESSING', at: NOON + 5_000 },
    ]);
    assert.deepEqual(order?.total, { minor: 2350, currency: 'USD' });
    const types = new Set(['order.created', 'order.processing']);
    const topics: string[] = [];
    let position = BEGINNING;
    // Open transactions of other tests on the same server hold back the horizon of the event log.
    await until('both events to be readable', async () => {
      const page = await log.read(position, { topics: new Set(), types }, 10);
      position = page.to;
      topics.push(...page.deliveries.map(({ topic }) => topic));
      return topics.length >= 2;
    });
    assert.deepEqual(topics, ['order.created', 'order.processing']);
  } finally {
    await log.close();
    await pool.end();
  }
}

const { entries } = readJournal();
for (const [n, { tag }] of entries.entries()) {
  it(`a database migrated up to ${tag} keeps its rows, and its order can proceed`, async (t) => {
    const database = await freshDatabase();
    const client = new pg.Client({ connectionString: database.url });
    t.after(async () => {
      await client.end();
      await database.drop();
    });
    await client.connect();
    await migrateUpTo(database.url, n + 1);
    const tables = await columnsOf(client);
    await fill(client, tables);
    const before = await dump(client, tables);
    for (const [table, rows] of Object.entries(before)) assert.ok(rows.length > 0, `${table} has rows`);

    await migrateDatabase(database.url);

    assert.deepEqual(await dump(client, tables), before);
    const applied = await client.query('SELECT FROM migrations');
    assert.equal(applied.rowCount, entries.length);
    await assertOrderProceeds(database.url);
  });
}

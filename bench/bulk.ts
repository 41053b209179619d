/** Compares bulk inserts of orders: one text for each column, as Tiffin sends them, or one array for each column. */
import { randomUUID } from 'node:crypto';
import { type SQL, sql } from 'drizzle-orm';
import type { AnyPgColumn } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import { announce } from '../internal/domain/announce.ts';
import type { OrderId } from '../internal/domain/order.ts';
import { evolve, place } from '../internal/domain/order-decisions.ts';
import { bulkParameters } from '../internal/repository/postgres/bulk-parameters.ts';
import { migrateDatabase, openPool } from '../internal/repository/postgres/database.ts';
import { PLACED, toPlacedRow } from '../internal/repository/postgres/orders/order-rows.ts';
import { namesOf, statement, type Values } from '../internal/repository/postgres/queries.ts';
import { orders } from '../internal/repository/postgres/schema/orders.ts';
import { events } from '../internal/repository/postgres/schema/stream.ts';
import { toLogEntry } from '../internal/repository/postgres/stream/event-log.ts';
import { median } from './percentiles.ts';
import { withServers } from './servers.ts';
import { machineLine, printTable, whole } from './table.ts';

const ROUNDS = 200;
const WARM_UP = 40;
const { eventId, eventType, record } = events;
const INPUT = { ...PLACED, eventId, eventType, record };
const ORDER = namesOf(Object.values(PLACED));
const EVENT = namesOf([eventId, eventType, events.orderId, record]);

type InputRow = ReturnType<typeof newRow>;

/** The statement that places orders, without the idempotency keys. */
const insertFrom = (name: string, relation: SQL) =>
  statement(
    name,
    sql`with input as (select * from ${relation} r),
      placed as (insert into ${orders} (${ORDER}) select ${ORDER} from input)
      insert into ${events} (${EVENT}) select ${EVENT} from input`,
  );

interface Form {
  readonly what: string;
  readonly insert: (pool: pg.Pool, rows: readonly InputRow[]) => Promise<unknown>;
  /** Microseconds an order, for each batch: the time until it is stored, and the CPU time of this process. */
  readonly wall: number[];
  readonly cpu: number[];
}

function textForm(): Form {
  const { relation, values } = bulkParameters(INPUT);
  const run = insertFrom('texts', relation);
  return {
    what: 'a text for each column',
    insert: (pool, rows) => run(pool, values(rows)),
    wall: [],
    cpu: [],
  };
}

function arrayForm(): Form {
  const columns = Object.entries<AnyPgColumn>(INPUT);
  const arrays = columns.map(([key, column]) => {
    const type = column.getSQLType().replace(/^(varchar|char)\b.*/, 'text');
    return sql`${sql.placeholder(key)}::${sql.raw(type)}[]`;
  });
  const names = namesOf(Object.values(INPUT));
  const run = insertFrom('arrays', sql`(select * from unnest(${sql.join(arrays, sql`, `)}) as u(${names}))`);
  const values = (rows: readonly InputRow[]): Values =>
    Object.fromEntries(
      columns.map(([key, column]) => [
        key,
        rows.map((row) => {
          const value = row[key as keyof InputRow];
          return value === undefined ? null : column.mapToDriverValue(value);
        }),
      ]),
    );
  return {
    what: 'an array for each column',
    insert: (pool, rows) => run(pool, values(rows)),
    wall: [],
    cpu: [],
  };
}

function newRow() {
  const now = Date.now();
  const content = {
    id: randomUUID() as OrderId,
    customerName: 'Ada Lovelace',
    items: [],
    total: { minor: 1_250, currency: 'USD' },
  };
  const created = place(content, now + 86_400_000, now);
  const order = evolve(undefined, created);
  const event = announce(created, order, randomUUID(), { producer: 'order-service' });
  return { ...toPlacedRow(order, randomUUID()), ...toLogEntry(event) };
}

await withServers(async ({ databaseUrl }) => {
  await migrateDatabase(databaseUrl);
  const pool = openPool(databaseUrl, { max: 1, onError() {} });
  const rows = [];
  for (const size of [10, 100, 500]) {
    const [texts, arrays] = [textForm(), arrayForm()];
    for (let round = 0; round < ROUNDS; round++) {
      for (const form of round % 2 ? [texts, arrays] : [arrays, texts]) {
        const batch = Array.from({ length: size }, newRow);
        const [cpu, started] = [process.cpuUsage(), performance.now()];
        await form.insert(pool, batch);
        const { user, system } = process.cpuUsage(cpu);
        if (round < WARM_UP) continue;
        form.wall.push(((performance.now() - started) * 1_000) / size);
        form.cpu.push((user + system) / size);
      }
    }
    for (const { what, wall, cpu } of [texts, arrays])
      rows.push({
        what: `${size} orders, ${what}`,
        figure: `${whole(median(wall))} µs an order, ${whole(median(cpu))} µs CPU`,
        ratio: median(wall) / median(texts.wall),
      });
  }
  printTable(rows);
  console.log(
    `\n${ROUNDS - WARM_UP} batches of each form in turn on one connection, medians; the ratio is the time divided by that of the text form`,
  );
  console.log(await machineLine(databaseUrl));
  await pool.end();
});

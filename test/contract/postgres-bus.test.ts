/** The stream on Postgres: the event bus contract, and the event log's handling of concurrent transactions and readers. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { TiffinError } from '../../internal/domain/errors.ts';
import { migrateDatabase } from '../../internal/repository/postgres/database.ts';
import { appendEvents } from '../../internal/repository/postgres/stream/event-log.ts';
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import type { AnyConsumer } from '../../internal/service/stream/consumer.ts';
import type { LogPage } from '../../internal/service/stream/ports.ts';
import { freshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { eventBusContract, type Stream } from './event-bus.ts';
import {
  countingConsumer,
  effectsOf,
  type Member,
  openMember,
  processing,
  versionsOf,
} from './stream-member.ts';

async function open(): Promise<Stream> {
  const database = await freshDatabase();
  const address = { databaseUrl: database.url };
  await migrateDatabase(database.url);
  const members = [openMember(address, { relays: true }), openMember(address, { relays: true })] as const;
  return {
    address,
    members,
    async inject({ key, value }) {
      // Postgres text cannot hold NUL.
      const orderId = key.replaceAll('\0', '?').slice(0, 64);
      await members[0].pool.query('INSERT INTO events (event_type, order_id, record) VALUES ($1, $2, $3)', [
        typeOf(value),
        orderId,
        isJson(value) ? value : JSON.stringify(value),
      ]);
      members[0].eventLog.signal();
    },
    async close() {
      await Promise.all(members.map((member) => member.close()));
      await database.drop();
    },
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function typeOf(value: string): string {
  return /"eventType":"([^"]+)"/.exec(value)?.[1] ?? 'order.processing';
}

eventBusContract('the Postgres log', { open, batchesInHand: 1 });

describe('the Postgres log', { concurrency: 4 }, () => {
  const scenario = (sentence: string, run: (member: Member) => Promise<void>) =>
    test(sentence, { timeout: 180_000 }, async () => {
      const stream = await open();
      try {
        await run(stream.members[0]);
      } finally {
        await stream.close();
      }
    });
  const everything = { topics: new Set(['raw.order-events']), types: new Set(['order.processing']) };
  /** Waits, because an open transaction in any database of the server holds events back. */
  const readPage = async ({ eventLog }: Member, reader: string, count: number) => {
    const from = await eventLog.cursor(reader);
    let page: LogPage | undefined;
    await until(`${reader} may read`, async () => {
      page = await eventLog.read(from, everything, count);
      // The page in memory may be short; reading past its end loads more of the log.
      if (page.deliveries.length < count) await eventLog.read(page.to, everything, count);
      return page.deliveries.length === count;
    });
    return { from, ...(page as LogPage) };
  };

  scenario('a reader does not skip an event whose transaction commits after a later one', async (member) => {
    const { bus, deps, pool, eventLog } = member;
    const group = randomUUID();
    await bus.subscribe(subscriptionOf(deps, countingConsumer(group)));
    await bus.publish([processing('before', 1)]);
    await until('reading is under way', async () => (await effectsOf(pool, group)).length === 1);
    const slow = await pool.connect();
    try {
      await slow.query('BEGIN');
      await appendEvents(slow, [processing('order', 1)]);
      await bus.publish([processing('order', 2)]);
      const page = await readPage(member, 'onlooker', 1);
      assert.deepEqual(
        page.deliveries.map((delivery) => delivery.key),
        ['before'],
      );
      const { deliveries, held } = await eventLog.read(page.to, everything, 100);
      assert.deepEqual([deliveries, held], [[], true]);
      assert.deepEqual(versionsOf(await effectsOf(pool, group), 'order'), []);
      await slow.query('COMMIT');
    } finally {
      slow.release();
    }
    await until('both arrived', async () => versionsOf(await effectsOf(pool, group), 'order').length === 2);
    assert.deepEqual(versionsOf(await effectsOf(pool, group), 'order'), [1, 2]);
  });

  scenario('the log refuses the cursor of a reader that another reader has overtaken', async (member) => {
    const { bus, deps, pool } = member;
    await bus.publish([processing('a', 1), processing('a', 2)]);
    const overtaken = await readPage(member, 'reader', 1);
    const page = await readPage(member, 'reader', 2);
    await deps.transactions.run((tx) => tx.moveCursor('reader', page.from, page.to));
    await assert.rejects(
      deps.transactions.run(async (tx) => {
        await tx.appendEvents([processing('effect', 1)]);
        await tx.moveCursor('reader', overtaken.from, overtaken.to);
      }),
      (error) => error instanceof TiffinError && error.code === 'UNAVAILABLE',
    );
    const { rows } = await pool.query(
      `SELECT count(*)::int AS effects FROM events WHERE order_id = 'effect'`,
    );
    assert.deepEqual(rows, [{ effects: 0 }]);
  });

  scenario('the log refuses a position that was read from another server', async (member) => {
    const { bus, deps, eventLog } = member;
    await bus.publish([processing('a', 1)]);
    const { from, to } = await readPage(member, 'reader', 1);
    assert.match(String(to.server), /^\d{16}$/);
    const elsewhere = { ...to, server: '1700000000000000' };
    await assert.rejects(
      deps.transactions.run((tx) => tx.moveCursor('reader', from, elsewhere)),
      { code: 'UNAVAILABLE' },
    );
    assert.deepEqual(await eventLog.cursor('reader'), from);
    await assert.rejects(eventLog.read(elsewhere, everything, 1), { code: 'UNAVAILABLE' });
    await deps.transactions.run((tx) => tx.moveCursor('reader', from, to));
    assert.deepEqual(await eventLog.cursor('reader'), to);
  });

  scenario('an event that two readers hold at once takes effect once', async ({ deps, pool }) => {
    const group = randomUUID();
    const event = processing('order', 1);
    let holding = 0;
    const consumer: AnyConsumer = {
      ...countingConsumer(group),
      async perform() {
        holding += 1;
        await until('both hold it', () => holding === 2);
      },
    };
    const { handle } = subscriptionOf(deps, consumer);
    const delivery = { topic: 'raw.order-events', key: 'order', position: '0-0', record: event };
    const batch = { deliveries: [delivery], settle: async () => {} };
    await Promise.all([handle(batch), handle(batch)]);
    assert.deepEqual(await effectsOf(pool, group), [{ orderId: 'order', version: 1 }]);
  });
});

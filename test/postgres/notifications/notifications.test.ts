/** Notifications on a real Postgres: stored once for each order and template, and read back unchanged. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import type { Notification } from '../../../internal/domain/notification.ts';
import type { OrderId } from '../../../internal/domain/order.ts';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { postgresNotifications } from '../../../internal/repository/postgres/notifications/notifications.ts';
import { postgresTransactions } from '../../../internal/repository/postgres/transactions.ts';
import type { Notifications } from '../../../internal/service/notifications/ports.ts';
import type { Transactions } from '../../../internal/service/ports.ts';
import { NOON } from '../../support/manual-clock.ts';
import { freshDatabase } from '../../support/servers.ts';

describe('the notifications', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  let notifications: Notifications;
  let transactions: Transactions;

  before(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    pool = openPool(database.url, { max: 4, onError: () => {} });
    notifications = postgresNotifications(pool);
    transactions = postgresTransactions(pool, () => {});
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });
  beforeEach(() => pool.query('TRUNCATE orders, events, notifications'));

  const A = 'a' as OrderId;
  const B = 'b' as OrderId;
  const message = (changes: Partial<Notification> = {}): Notification => ({
    orderId: A,
    to: '+1-555-0100',
    template: 'ORDER_PLACED',
    variables: { orderId: 'a', eta: '17:35' },
    state: 'PENDING',
    attempts: 0,
    createdAt: NOON,
    ...changes,
  });
  const save = (...messages: Notification[]) => transactions.run((tx) => notifications.save(tx, messages));

  it('notifications are read back as they were saved, oldest first', async () => {
    const sent = message({ state: 'SENT', sentAt: NOON + 5, createdAt: NOON + 2 });
    const failed = message({
      template: 'ORDER_ACCEPTED',
      attempts: 3,
      error: 'a \u0000 b',
      createdAt: NOON + 1,
    });
    const other = message({ orderId: B });
    await save(sent, failed, other);
    assert.deepEqual(await notifications.find([A]), [{ ...failed, error: 'a \ufffd b' }, sent]);
    assert.deepEqual((await notifications.find([A, B])).length, 3);
    assert.deepEqual(await notifications.find([]), []);
  });

  it('a notification is visible in the transaction that saves it, and gone if that transaction fails', async () => {
    await assert.rejects(
      transactions.run(async (tx) => {
        await notifications.save(tx, [message()]);
        assert.equal((await notifications.find([A], tx)).length, 1);
        assert.equal((await notifications.find([A])).length, 0);
        throw new Error('undone');
      }),
      /undone/,
    );
    assert.deepEqual(await notifications.find([A]), []);
  });

  it('concurrent transactions that save the same notifications in opposite orders do not deadlock', async () => {
    const templates = Array.from({ length: 50 }, (_, n) => message({ template: `T${n}` }));
    await Promise.all(
      Array.from({ length: 8 }, (_, n) => save(...(n % 2 ? templates : templates.toReversed()))),
    );
    assert.equal((await notifications.find([A])).length, 50);
  });

  it('a constraint requires a sent time for a notification that is SENT, and refuses it for any other', async () => {
    await assert.rejects(save(message({ state: 'SENT' })), /check/);
    await assert.rejects(save(message({ sentAt: NOON })), /check/);
  });
});

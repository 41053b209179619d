/** Tests of settling payments on a real Postgres: steps, lost answers, cancellations, webhooks and redelivered events. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { Event } from '../../../internal/domain/events.ts';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import { afterStep, newPayment } from '../../../internal/domain/payment.ts';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { postgresOrderStore } from '../../../internal/repository/postgres/orders/order-store.ts';
import { postgresPayments } from '../../../internal/repository/postgres/payments/payments.ts';
import { postgresDeadLetters } from '../../../internal/repository/postgres/stream/dead-letters.ts';
import { postgresTransactions } from '../../../internal/repository/postgres/transactions.ts';
import { changeOrder } from '../../../internal/service/orders/change-order.ts';
import { acceptPaymentNotice } from '../../../internal/service/payments/accept-webhook.ts';
import type { PaymentProvider, PaymentRequest } from '../../../internal/service/payments/ports.ts';
import { settleConsumer } from '../../../internal/service/payments/settle-payments.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import { simulatedPayments } from '../../../internal/transport/outbound/simulated-payments.ts';
import { createdEvent, movedTo, placedOrder } from '../../support/builders.ts';
import { deliveryOf } from '../../support/in-memory-bus.ts';
import { memoryQueue } from '../../support/in-memory-queue.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { bank, memoryTimers } from '../../support/payments.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';
import { freshDatabase } from '../../support/servers.ts';
import {
  cancelled,
  completed,
  finished,
  happened,
  holdRequests,
  inTurn,
  reserved,
  started,
  timerOf,
} from '../../support/settling.ts';
import { until } from '../../support/until.ts';

describe('settling payments', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;

  before(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    pool = openPool(database.url, { max: 6, onError: () => {} });
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });
  beforeEach(async () => {
    await pool.query('TRUNCATE orders, events, payments, processed_events, dead_letters');
  });

  function setUp(provider: PaymentProvider) {
    const clock = manualClock();
    const timers = memoryTimers();
    const log = recordingLog();
    const deps = {
      orders: postgresOrderStore(pool, () => {}),
      transactions: postgresTransactions(pool, () => {}),
      deadLetters: postgresDeadLetters(pool),
      payments: postgresPayments(pool),
      newEventId: () => randomUUID(),
      meter: recordingMeter(),
      queue: memoryQueue(clock),
      ...{ clock, timers, log, provider },
    };
    const consumer = settleConsumer(deps);
    const subscription = subscriptionOf(deps, consumer);
    const deliver = (...events: Event[]) =>
      subscription.handle({ deliveries: events.map((event) => deliveryOf(event)), settle: async () => {} });
    return {
      ...deps,
      consumer,
      deliver,
      /** Stores orders in their state; each row is inserted as CREATED and then changed. */
      async seed(...orders: Order[]) {
        await deps.orders.place(
          orders.map((order) => ({
            order: placedOrder({ content: order }),
            event: createdEvent(order, randomUUID()),
            fingerprint: 'f',
          })),
        );
        await deps.transactions.run((tx) => tx.saveOrders(orders));
      },
      cancel: (id: string) =>
        changeOrder(deps, {
          id: id as OrderId,
          commands: () => [{ type: 'cancel' }],
          origin: { producer: 'test' },
        }),
      /** Advances the clock to the due time of the order's timer, and delivers its event. */
      async timerRunsOut(id: string) {
        const dueAt = timers.due.get(id as OrderId);
        assert.ok(dueAt !== undefined, 'there is a timer');
        clock.advance(Math.max(0, dueAt - clock.now()));
        await deliver(timerOf(id));
      },
      async state(id: string) {
        const payment = (await deps.payments.find([id as OrderId])).get(id as OrderId);
        return payment?.reason ? `${payment.state} ${payment.reason}` : payment?.state;
      },
      async announced() {
        const { rows } = await pool.query(
          `SELECT order_id, event_type FROM events WHERE event_type LIKE 'payment.%' ORDER BY position`,
        );
        return rows.map((row) => `${row.order_id} ${row.event_type}`);
      },
    };
  }

  it('a payment is authorized after the reservation and captured after completion, with the trace of the request', async () => {
    const provider = bank();
    const all = setUp(provider);
    await all.seed(started('a'));
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await all.deliver({ ...reserved('a'), traceparent });
    assert.equal(await all.state('a'), 'AUTHORIZED');
    await all.transactions.run((tx) => tx.saveOrders([finished('a')]));
    await all.deliver(completed('a'));
    assert.equal(await all.state('a'), 'CAPTURED');
    assert.deepEqual(await all.announced(), ['a payment.authorized', 'a payment.captured']);
    assert.deepEqual(provider.account('a'), { charges: 1, held: 0, captured: 1250, refunded: 0 });
    const { rows } = await pool.query(`SELECT record FROM events WHERE event_type = 'payment.authorized'`);
    assert.equal(rows[0].record.traceparent, traceparent);
    assert.deepEqual(rows[0].record.payload, {
      amount: '12.50',
      currency: 'USD',
      authorizationId: 'auth-a',
    });
  });

  it('an order is charged once if the provider’s answer is lost', async () => {
    const provider = bank(inTurn('lost'));
    const all = setUp(provider);
    await all.seed(started('a'));
    await all.deliver(reserved('a'));
    assert.deepEqual([await all.state('a'), all.timers.due.get('a' as OrderId)], ['PENDING', NOON + 2_000]);
    await all.timerRunsOut('a');
    assert.equal(await all.state('a'), 'AUTHORIZED');
    assert.deepEqual([provider.account('a').charges, all.timers.due.size], [1, 0]);
  });

  it('a step is retried after 2, 4 and 8 seconds if the provider fails three times', async () => {
    const all = setUp(bank(inTurn('away', 'away', 'away')));
    await all.seed(started('a'));
    await all.deliver(reserved('a'));
    const waits: number[] = [];
    while (all.timers.due.size > 0) {
      waits.push((all.timers.due.get('a' as OrderId) ?? 0) - all.clock.now());
      await all.timerRunsOut('a');
    }
    assert.deepEqual([waits, await all.state('a')], [[2_000, 4_000, 8_000], 'AUTHORIZED']);
    assert.deepEqual(await all.announced(), ['a payment.pending', 'a payment.authorized']);
  });

  it('a declined payment is FAILED with its reason, and not retried', async () => {
    const provider = bank({ refuses: () => true });
    const all = setUp(provider);
    await all.seed(started('a'));
    await all.deliver(reserved('a'), timerOf('a'));
    await all.deliver(reserved('a'), timerOf('a'));
    assert.equal(await all.state('a'), 'FAILED CARD_DECLINED');
    assert.deepEqual(await all.announced(), ['a payment.failed']);
    assert.equal(provider.requests.length, 1);
  });

  it('the payment token is passed to the provider', async () => {
    const all = setUp(simulatedPayments());
    await all.seed(started('a'));
    const orders = {
      ...all.orders,
      find: async (ids: readonly OrderId[]) =>
        (await all.orders.find(ids)).map((order) => ({ ...order, paymentToken: 'tok_decline' })),
    };
    const { perform } = settleConsumer({ ...all, orders });
    const [performed] = (await perform?.([reserved('a') as never]))?.values() ?? [];
    assert.equal(performed?.attempt?.answer.outcome, 'declined');
  });

  it('the provider is not called for an order that was cancelled before its items were reserved', async () => {
    const provider = bank();
    const all = setUp(provider);
    await all.seed(started('a'));
    await all.cancel('a');
    await all.deliver(cancelled('a'), timerOf('a'));
    assert.deepEqual([await all.state('a'), provider.requests], [undefined, []]);
  });

  it('the authorization of an order that was cancelled before it was requested is abandoned', async () => {
    const provider = bank();
    const all = setUp(provider);
    await all.seed(started('a'));
    await all.cancel('a');
    await all.deliver(reserved('a'), cancelled('a'));
    assert.deepEqual([await all.state('a'), provider.account('a').charges], ['FAILED ABANDONED', 0]);
    assert.deepEqual(await all.announced(), ['a payment.failed']);
  });

  it('an authorization that was granted while the order was cancelled is voided at once', async () => {
    const { pass, requested, held } = holdRequests();
    const provider = bank({ pass });
    const all = setUp(provider);
    await all.seed(started('a'));
    const asking = all.deliver(reserved('a'));
    await requested(1);
    await all.cancel('a');
    await all.deliver(cancelled('a'));
    held.open();
    await asking;
    assert.deepEqual([await all.state('a'), all.timers.due.get('a' as OrderId)], ['AUTHORIZED', NOON]);
    await all.timerRunsOut('a');
    assert.deepEqual([await all.state('a'), provider.account('a').held], ['VOIDED', 0]);
    assert.deepEqual(await all.announced(), ['a payment.authorized', 'a payment.voided']);
  });

  it('an authorization is voided when the order is cancelled afterwards', async () => {
    const provider = bank();
    const all = setUp(provider);
    await all.seed(started('a'));
    await all.deliver(reserved('a'));
    await all.cancel('a');
    await all.deliver(cancelled('a'));
    assert.deepEqual([await all.state('a'), provider.account('a').held], ['VOIDED', 0]);
  });

  it('an authorization whose answer was lost is abandoned when its order is cancelled', async () => {
    const provider = bank(inTurn('lost'));
    const all = setUp(provider);
    await all.seed(started('a'));
    await all.deliver(reserved('a'));
    await all.cancel('a');
    await all.deliver(cancelled('a'));
    assert.deepEqual([await all.state('a'), provider.account('a').held], ['FAILED ABANDONED', 0]);
  });

  it('an order is charged once if the process dies after the provider’s answer and before storing it', async () => {
    const provider = bank();
    const all = setUp(provider);
    await all.seed(started('a'), started('b'));
    await all.consumer.perform?.([reserved('a'), reserved('b')] as never);
    await all.cancel('b');
    await all.deliver(cancelled('b'), reserved('b'), reserved('a'));
    assert.deepEqual([await all.state('a'), provider.account('a').charges], ['AUTHORIZED', 1]);
    assert.deepEqual([await all.state('b'), provider.account('b').held], ['FAILED ABANDONED', 0]);
  });

  it('a payment is settled once when every event is delivered five times in any order', async () => {
    const provider = bank();
    const all = setUp(provider);
    const ids = Array.from({ length: 20 }, (_, n) => `o${n}`);
    await all.seed(...ids.map((id, n) => (n % 2 === 0 ? finished(id) : started(id))));
    await Promise.all(ids.filter((_, n) => n % 2 === 1).map((id) => all.cancel(id)));
    const once = ids.flatMap((id, n) => [reserved(id), timerOf(id), n % 2 ? cancelled(id) : completed(id)]);
    const often = Array.from({ length: 5 }, (_, round) =>
      once.map((_, n) => once[(n * 7 + round * 13) % once.length] as Event),
    ).flat();
    for (let from = 0; from < often.length; from += 50) await all.deliver(...often.slice(from, from + 50));
    while (all.timers.due.size > 0) await all.deliver(...[...all.timers.due.keys()].map(timerOf));
    for (const [n, id] of ids.entries()) {
      assert.equal(await all.state(id), n % 2 ? 'FAILED ABANDONED' : 'CAPTURED', id);
      const { charges, held, captured } = provider.account(id);
      assert.deepEqual([charges, held, captured], n % 2 ? [0, 0, 0] : [1, 0, 1250]);
    }
    assert.deepEqual(provider.faults, []);
    // 10 authorized, 10 captured, 10 abandoned.
    assert.equal((await all.announced()).length, 30);
  });

  it('a payment that was changed while the provider was called is settled again alone, and the other answers of its batch are stored', async () => {
    const { pass, requested, held } = holdRequests();
    const provider = bank({ pass });
    const all = setUp(provider);
    const others = ['b', 'c', 'd'];
    await all.seed(started('a'), ...others.map(started));
    const order = (await all.orders.find(['a' as OrderId]))[0] as Order;
    const asking = all.deliver(reserved('a'), ...others.map(reserved));
    await requested(4);
    const pending = afterStep(newPayment(order, NOON), 'authorize', { outcome: 'pending' }, NOON);
    await all.transactions.run((tx) => all.payments.save(tx, [pending]));
    held.open();
    await asking;
    assert.deepEqual(
      await Promise.all(others.map(all.state)),
      others.map(() => 'AUTHORIZED'),
    );
    assert.deepEqual([await all.state('a'), [...all.timers.due]], ['PENDING', [['a', NOON]]]);
    await all.timerRunsOut('a');
    assert.equal(await all.state('a'), 'AUTHORIZED');
    assert.deepEqual(provider.requests.map(({ orderId }) => orderId).sort(), ['a', 'a', ...others]);
    assert.deepEqual([provider.account('a').charges, all.timers.due.size], [1, 0]);
  });

  it('two batches that ask for the same payment at a time record one answer', async () => {
    const { pass, requested, held } = holdRequests();
    const provider = bank({ pass });
    const all = setUp(provider);
    await all.seed(started('a'));
    const both = [all.deliver(reserved('a')), all.deliver(reserved('a'))];
    await requested(2);
    held.open();
    await Promise.all(both);
    assert.deepEqual([await all.state('a'), await all.announced()], ['AUTHORIZED', ['a payment.authorized']]);
  });

  it('one of webhook and provider’s answer is recorded if both report the same authorization', async () => {
    const { pass, requested, held } = holdRequests();
    const provider = bank({ pass });
    const all = setUp(provider);
    await all.seed(started('a'));
    const order = (await all.orders.find(['a' as OrderId]))[0] as Order;
    const pending = afterStep(newPayment(order, NOON), 'authorize', { outcome: 'pending' }, NOON);
    await all.transactions.run((tx) => all.payments.save(tx, [pending]));
    const asking = all.deliver(timerOf('a'));
    await requested(1);
    const answer = { outcome: 'done', authorizationId: 'auth-a' } as const;
    await acceptPaymentNotice(all, { orderId: 'a' as OrderId, answer, origin: { producer: 'test' } });
    held.open();
    await asking;
    assert.deepEqual([await all.state('a'), await all.announced()], ['AUTHORIZED', ['a payment.authorized']]);
    assert.equal(all.timers.due.size, 0);
  });

  it('an order whose request fails or gets no answer does not affect the other orders', async () => {
    const good = bank();
    const provider: PaymentProvider = {
      async carryOut(request: PaymentRequest) {
        if (request.orderId === 'silent') return bank(inTurn('away')).carryOut(request);
        if (request.orderId === 'wrong') throw new Error('no such currency');
        return good.carryOut(request);
      },
    };
    const all = setUp(provider);
    await all.seed(started('a'), started('silent'), started('wrong'), started('b'));
    await all.deliver(reserved('a'), reserved('silent'), reserved('wrong'), reserved('b'));
    const states = await Promise.all(['a', 'silent', 'wrong', 'b'].map(all.state));
    assert.deepEqual(states, ['AUTHORIZED', 'PENDING', undefined, 'AUTHORIZED']);
    const [letter] = await all.deadLetters.list({ limit: 10 });
    assert.match(letter?.error ?? '', /no such currency/);
  });

  it('an answer is not asked for again when its batch fails, because of another order or of the database', async () => {
    const good = bank();
    const carryOut = async (request: PaymentRequest) => {
      if (request.orderId !== 'wrong') return good.carryOut(request);
      // The fault comes after the other answers.
      await until('the others were asked', () => good.requests.length >= 2);
      throw new Error('no such currency');
    };
    const all = setUp({ carryOut });
    await all.seed(started('a'), started('wrong'), started('b'), started('c'));
    await all.deliver(reserved('a'), reserved('wrong'), reserved('b'));
    assert.deepEqual(good.requests.map(({ orderId }) => orderId).sort(), ['a', 'b']);
    const { save } = all.payments;
    Object.assign(all.payments, {
      save: () => Promise.reject(new TiffinError('UNAVAILABLE', 'the database is away')),
    });
    const event = reserved('c');
    await assert.rejects(all.deliver(event), { code: 'UNAVAILABLE' });
    Object.assign(all.payments, { save });
    await all.deliver(event);
    assert.deepEqual(await Promise.all(['a', 'b', 'c'].map(all.state)), Array(3).fill('AUTHORIZED'));
    assert.deepEqual(good.requests.map(({ orderId }) => orderId).sort(), ['a', 'b', 'c']);
  });

  it('an unreachable provider gets few requests for a batch of hundreds', async () => {
    const provider = bank({ mannerOf: () => 'away' });
    const all = setUp(provider);
    const ids = Array.from({ length: 300 }, (_, n) => `o${n}`);
    await all.seed(...ids.map(started));
    await all.deliver(...ids.map(reserved));
    assert.ok(provider.requests.length <= 64, `${provider.requests.length} requests`);
    assert.equal(all.timers.due.size, 300);
    assert.deepEqual(
      all.log.at('warn').map(({ fields }) => fields.payments),
      [300],
    );
  });

  it('an order without items causes no request and no lock', async () => {
    const provider = bank();
    const all = setUp(provider);
    await all.seed(movedTo(placedOrder({ content: { id: 'plain' } }), 'PROCESSING', 'COMPLETED'));
    const lock = await pool.connect();
    try {
      await lock.query('BEGIN');
      await lock.query('SELECT FROM orders FOR UPDATE');
      await all.deliver(happened('order.completed', 'plain', { status: 'COMPLETED', version: 3 }));
    } finally {
      await lock.query('ROLLBACK');
      lock.release();
    }
    assert.deepEqual([provider.requests, await all.state('plain')], [[], undefined]);
  });
});

/** Property test of payments under any sequence of changes of the order, faults of the provider and deaths of the process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fact } from '../../../internal/domain/announce.ts';
import { isTransient } from '../../../internal/domain/errors.ts';
import type { EventType } from '../../../internal/domain/events.ts';
import { type Milestone, nextMilestones, type Order, type OrderId } from '../../../internal/domain/order.ts';
import { decide, evolve, type OrderCommand } from '../../../internal/domain/order-decisions.ts';
import { acceptPaymentNotice } from '../../../internal/service/payments/accept-webhook.ts';
import { settleConsumer } from '../../../internal/service/payments/settle-payments.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import { CONTENTS, movedTo, nextId, placedOrder } from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { deliveryOf } from '../../support/in-memory-bus.ts';
import { memoryQueue } from '../../support/in-memory-queue.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { bank, type Manner, memoryPayments, memoryTimers } from '../../support/payments.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';

const ID = 'o1' as OrderId;
const TOTAL = 1250;

const actions = fc.array(
  fc.constantFrom(
    ...(['reserved', 'reserved', 'timer', 'dies', 'approval'] as const),
    ...(['onwards', 'onwards', 'onwards', 'cancel', 'fail', 'reject'] as const),
  ),
  { maxLength: 12 },
);
type Action = (typeof actions extends fc.Arbitrary<infer T> ? T : never)[number];
const manners = fc.array(fc.constantFrom<Manner>('answered', 'answered', 'lost', 'away', 'pending'), {
  maxLength: 8,
});

function setUp(content: object, mannerOf: () => Manner, refuses: boolean, pass: () => Promise<void>) {
  const clock = manualClock();
  const store = memoryStore();
  const payments = memoryPayments();
  const timers = memoryTimers();
  const log = recordingLog();
  const queue = memoryQueue(clock);
  const provider = bank({ mannerOf, refuses: () => refuses, pass });
  const deps = {
    ...{ ...store, clock, log, meter: recordingMeter(), payments, timers, queue, provider },
    newEventId: () => nextId('event'),
  };
  const consumer = settleConsumer(deps);
  const settle = subscriptionOf(deps, consumer);
  store.seed(movedTo(placedOrder({ content: { ...content, id: ID } }), 'PROCESSING'));
  const order = () => store.tables.orders.get(ID)?.order as Order;
  /** Events that the stream redelivers, because their handling failed. */
  const undelivered: ReturnType<typeof happened>[] = [];

  function happened<T extends EventType>(type: T, payload: object, eventId = nextId('event')) {
    return fact(type, ID, payload as never, { eventId, at: NOON, producer: 'test' }) as never;
  }
  const reserved = happened('inventory.reserved', { items: [], amountDue: '12.50' }, 'reserved');

  async function deliver(event: never): Promise<void> {
    await settle
      .handle({ deliveries: [deliveryOf(event)], settle: async () => {} })
      .catch((error: unknown) => {
        if (!isTransient(error)) throw error;
        undelivered.push(event);
      });
  }

  async function command(next: OrderCommand): Promise<void> {
    const changed = await store.transactions.run(async (tx) => {
      const before = (await tx.lockOrders([ID])).get(ID) as Order;
      const decision = decide(next, before, NOON);
      const after = 'events' in decision ? decision.events.reduce<Order>(evolve, before) : before;
      await tx.saveOrders([after]);
      return after.version > before.version ? after : undefined;
    });
    if (changed) await ended(changed);
  }

  async function ended({ status, version }: Order): Promise<void> {
    const type = `order.${status.toLowerCase()}` as EventType;
    if (!(consumer.types as readonly EventType[]).includes(type)) return;
    const event = happened(type, { status, version, reason: 'R', items: [] });
    undelivered.push(event);
    await deliver(event);
  }

  async function act(action: Action): Promise<void> {
    switch (action) {
      case 'reserved':
        return deliver(reserved);
      case 'timer':
        return deliver(happened('timer.payment', { dueAt: new Date(NOON).toISOString() }));
      case 'dies':
        // The provider carries out the step, and the process dies before it stores the answer.
        return void (await consumer.perform?.([reserved]));
      case 'approval': {
        const { held } = provider.account(ID);
        if (held === 0) return;
        const answer = { outcome: 'done', authorizationId: `auth-${ID}` } as const;
        const webhook = { orderId: ID, answer, origin: { producer: 'test' } };
        return acceptPaymentNotice(deps, webhook).catch((error) => {
          if (error.code !== 'PAYMENT_NOT_FOUND') throw error;
        });
      }
      case 'onwards': {
        const next = nextMilestones(order())[0] as Milestone | undefined;
        return next && command({ type: 'advance', to: next, by: 'request' });
      }
      case 'cancel':
        return command({ type: 'cancel' });
      case 'fail':
      case 'reject':
        return command({ type: action, reason: 'R' });
    }
  }

  /** Redelivers events and runs out timers, until none is left. */
  async function comeToRest(): Promise<void> {
    undelivered.push(reserved);
    for (let rounds = 0; undelivered.length > 0 || timers.due.size > 0; rounds += 1) {
      assert.ok(rounds < 20, 'the payment comes to rest');
      for (const event of undelivered.splice(0)) await deliver(event);
      if (timers.due.size > 0) await act('timer');
    }
  }

  const announced = () => store.bus.events.map(({ eventType }) => eventType);
  return { store, payments, provider, order, act, comeToRest, announced, log };
}

test('an order that failed has cost nothing, a delivered order has cost its total, and no order is charged twice', async () => {
  const ends = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(CONTENTS.items, CONTENTS.everything),
      actions,
      manners,
      fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      fc.scheduler(),
      async (content, run, manner, refuses, scheduler) => {
        let isCalm = false;
        const pass = () => (isCalm ? Promise.resolve() : scheduler.schedule(Promise.resolve()));
        const manners = manner.values();
        const mannerOf = (): Manner => (isCalm ? 'answered' : (manners.next().value ?? 'answered'));
        const all = setUp(content, mannerOf, refuses, pass);
        const { provider, payments, order, announced } = all;
        const running = run.map(async (action) => {
          await pass();
          await all.act(action);
        });
        await scheduler.waitFor(Promise.all(running));
        isCalm = true;
        await all.comeToRest();

        const account = provider.account(ID);
        const state = payments.rows.get(ID)?.state;
        const { status } = order();
        ends.add(`${status} ${state}`);
        assert.deepEqual(provider.faults, []);
        assert.deepEqual([...all.store.tables.letters], []);
        assert.deepEqual(all.log.at('error'), []);
        assert.ok(account.charges <= 1, 'the order is charged at most once');
        const kept = account.captured - account.refunded;
        if (status === 'FAILED' || status === 'REJECTED' || status === 'CANCELLED') {
          assert.deepEqual([account.held, kept], [0, 0], `${status} ${state}`);
          assert.ok(state === 'VOIDED' || state === 'FAILED' || state === 'REFUNDED', `${status} ${state}`);
        } else if (refuses) {
          assert.deepEqual([account.charges, state], [0, 'FAILED']);
        } else if (status === 'COMPLETED' || status === 'DELIVERED') {
          assert.deepEqual([account.held, kept, state], [0, TOTAL, 'CAPTURED']);
        } else {
          assert.deepEqual([account.held, kept, state], [TOTAL, 0, 'AUTHORIZED']);
        }
        assert.equal(
          new Set(announced()).size,
          announced().length,
          `each event is published once: ${announced()}`,
        );
        assert.equal(announced().includes('payment.captured'), state === 'CAPTURED');
        assert.equal(announced().includes('payment.voided'), state === 'VOIDED');
      },
    ),
    { numRuns: 10_000 },
  );
  const failures = ['CANCELLED VOIDED', 'CANCELLED FAILED', 'FAILED VOIDED', 'REJECTED VOIDED'];
  for (const end of [...failures, 'COMPLETED CAPTURED', 'DELIVERED CAPTURED', 'PROCESSING AUTHORIZED'])
    assert.ok(ends.has(end), `${end} was reached`);
});

/** What every store's transactions do: all or nothing, row locks, and reads of what is committed. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { BEGINNING, type StoredResponse, type Transaction } from '../../internal/service/ports.ts';
import { createdEvent, movedTo, placedOrder, processingEvent } from '../support/builders.ts';
import { gate } from '../support/turns.ts';
import { hasEnded, id, type Stores, seed, type World } from './worlds.ts';

const ANSWER: StoredResponse = { fingerprint: 'f', status: 200, headers: { a: 'b' }, body: { ok: true } };
const KEY = { principal: 'p', operation: 'cancel', key: 'k', fingerprint: 'f' };
const FILTER = { topics: new Set<string>(), types: new Set(['order.processing']) };
const TO = { transactionId: '1', position: '1' };

/** A transaction that stays open until it is told to commit or to roll back. */
export async function opened(
  { transactions }: Stores,
  work: (tx: Transaction) => Promise<unknown>,
): Promise<{ commit(): Promise<void>; rollBack(): Promise<void> }> {
  const [begun, end] = [gate(), gate<boolean>()];
  const ended = transactions.run(async (tx) => {
    await work(tx);
    begun.open();
    if (!(await end.promise)) throw new Error('rolled back on purpose');
  });
  await Promise.race([begun.promise, ended]);
  return {
    async commit() {
      end.open(true);
      await ended;
    },
    async rollBack() {
      end.open(false);
      await assert.rejects(ended, /on purpose/);
    },
  };
}

export function transactionsContract(name: string, world: World): void {
  describe(`transactions ${name}`, { timeout: 120_000 }, () => {
    const holds = (sentence: string, check: (stores: Stores) => Promise<void>) =>
      it(sentence, () => world(check));
    const found = async ({ orders }: Stores, name: string) => (await orders.find([id(name)]))[0]?.status;
    const order = (name: string) => placedOrder({ content: { id: name } });
    const started = (name: string) => movedTo(order(name), 'PROCESSING');

    holds('a transaction that is rolled back leaves nothing', async (stores) => {
      const { transactions, logs, timers, deadLetters } = stores;
      const event = randomUUID();
      await seed(stores, order('a'));
      const cursor = await logs[0].cursor('c');
      const open = await opened(stores, async (tx) => {
        await tx.saveOrders([started('a')]);
        await tx.appendEvents([processingEvent('a', event)]);
        assert.deepEqual(await tx.claimEvents('c', [event]), new Set([event]));
        await tx.moveCursor('c', cursor, TO);
        await tx.idempotency.save(KEY, ANSWER);
        await tx.deadLetters.add([letter('c', event, 'a')]);
        await timers.set(tx, [{ orderId: id('a'), kind: 'rider', dueAt: 1 }]);
      });
      await open.rollBack();
      assert.equal(await found(stores, 'a'), 'CREATED');
      assert.deepEqual((await logs[0].read(BEGINNING, FILTER, 10)).deliveries, []);
      const { transactionId, position } = await logs[0].cursor('c');
      assert.deepEqual({ transactionId, position }, BEGINNING);
      assert.deepEqual(await deadLetters.screen('c', [event], ['a']), { seen: new Set(), parked: new Set() });
      await transactions.run(async (tx) => {
        assert.equal(await tx.idempotency.find(KEY), undefined);
        assert.equal((await timers.dueAt(tx, 'rider', [id('a')])).size, 0);
        assert.deepEqual(await tx.claimEvents('c', [event]), new Set([event]));
      });
    });

    holds(
      'a transaction in which a statement failed commits nothing, although its work went on',
      async (stores) => {
        const { transactions } = stores;
        await seed(stores, order('a'));
        await transactions.run((tx) => tx.idempotency.save(KEY, ANSWER));
        const work = transactions.run(async (tx) => {
          await tx.saveOrders([started('a')]);
          await tx.idempotency.save(KEY, ANSWER).catch(() => {});
        });
        await assert.rejects(work);
        assert.equal(await found(stores, 'a'), 'CREATED');
      },
    );

    holds(
      'others see what a transaction changed after its commit, and itself sees it at once',
      async (stores) => {
        const { transactions } = stores;
        await seed(stores, order('a'));
        let inside: string | undefined;
        const open = await opened(stores, async (tx) => {
          await tx.saveOrders([started('a')]);
          inside = (await tx.lockOrders([id('a')])).get(id('a'))?.status;
        });
        assert.deepEqual([inside, await found(stores, 'a')], ['PROCESSING', 'CREATED']);
        await open.commit();
        assert.equal(await found(stores, 'a'), 'PROCESSING');
        await transactions.run(async (tx) => {
          // Each statement reads what is committed when it begins.
          assert.equal(await tx.idempotency.find(KEY), undefined);
          await transactions.run((other) => other.idempotency.save(KEY, ANSWER));
          assert.deepEqual(await tx.idempotency.find(KEY), ANSWER);
        });
      },
    );

    holds(
      'a locked order makes others wait, who then see its change; unlocked ones do not wait',
      async (stores) => {
        const { transactions } = stores;
        await seed(stores, order('a'), order('b'));
        const open = await opened(stores, async (tx) => {
          assert.deepEqual([...(await tx.lockOrders([id('a'), id('nobody')])).keys()], ['a']);
          await tx.saveOrders([started('a')]);
        });
        const second = transactions.run((tx) => tx.lockOrders([id('b'), id('a')]));
        const third = transactions.run((tx) => tx.lockOrders([id('nobody')]));
        await third;
        assert.equal(await hasEnded(stores, second), false);
        await open.commit();
        assert.deepEqual([...(await second).values()].map(({ status }) => status).sort(), [
          'CREATED',
          'PROCESSING',
        ]);
      },
    );

    holds(
      'an order that is not there yet cannot be locked, so it can be placed meanwhile',
      async (stores) => {
        const open = await opened(stores, (tx) => tx.lockOrders([id('a')]));
        await seed(stores, order('a'));
        await open.commit();
      },
    );

    holds('saving an order waits for who has locked it', async (stores) => {
      const { transactions } = stores;
      await seed(stores, order('a'));
      const open = await opened(stores, (tx) => tx.lockOrders([id('a')]));
      const saving = transactions.run((tx) => tx.saveOrders([started('a')]));
      assert.equal(await hasEnded(stores, saving), false);
      await open.commit();
      await saving;
      assert.equal(await found(stores, 'a'), 'PROCESSING');
    });

    holds('saving an order that is not there stores nothing', async (stores) => {
      await stores.transactions.run((tx) => tx.saveOrders([started('ghost')]));
      assert.deepEqual(await stores.orders.find([id('ghost')]), []);
    });

    holds('an event is claimed once for each consumer', async ({ transactions, deadLetters }) => {
      const [e, f] = [randomUUID(), randomUUID()];
      const claim = (consumer: string, ...ids: string[]) =>
        transactions.run((tx) => tx.claimEvents(consumer, ids));
      assert.deepEqual(await claim('c', e, e), new Set([e]));
      assert.deepEqual(await claim('c', f, e), new Set([f]));
      assert.deepEqual(await claim('d', e, 'an id of its own'), new Set([e, 'an id of its own']));
      assert.deepEqual(await claim('c'), new Set());
      assert.deepEqual((await deadLetters.screen('c', [e, f, randomUUID()], [])).seen, new Set([e, f]));
    });

    holds(
      'who claims an event that another is claiming waits, and gets it if that is rolled back',
      async (stores) => {
        const { transactions } = stores;
        for (const isCommitted of [true, false]) {
          const event = randomUUID();
          const open = await opened(stores, (tx) => tx.claimEvents('c', [event]));
          const second = transactions.run((tx) => tx.claimEvents('c', [event]));
          assert.equal(await hasEnded(stores, second), false);
          await (isCommitted ? open.commit() : open.rollBack());
          assert.deepEqual(await second, new Set(isCommitted ? [] : [event]));
        }
      },
    );

    holds('two who find an event claimed do not wait for each other', async (stores) => {
      const event = randomUUID();
      await stores.transactions.run((tx) => tx.claimEvents('c', [event]));
      const open = await opened(stores, (tx) => tx.claimEvents('c', [event]));
      await stores.transactions.run((tx) => tx.claimEvents('c', [event]));
      await open.commit();
    });

    holds('a cursor moves from where it is, and never if it is elsewhere', async (stores) => {
      const { transactions, logs } = stores;
      const at = async () => {
        const { transactionId, position } = await logs[0].cursor('c');
        return `${transactionId}/${position}`;
      };
      const from = await logs[0].cursor('c');
      await transactions.run((tx) => tx.moveCursor('c', from, TO));
      assert.equal(await at(), '1/1');
      const again = transactions.run((tx) => tx.moveCursor('c', from, { ...TO, position: '2' }));
      await assert.rejects(again, { code: 'UNAVAILABLE' });
      const elsewhere = transactions.run((tx) =>
        tx.moveCursor('c', TO, { ...TO, position: '3', server: 'another' }),
      );
      await assert.rejects(elsewhere, { code: 'UNAVAILABLE' });
      await assert.rejects(
        transactions.run((tx) => tx.moveCursor('unknown', BEGINNING, TO)),
        { code: 'UNAVAILABLE' },
      );
      assert.equal(await at(), '1/1');
    });

    holds('of two who move a cursor from the same place the second waits, and fails', async (stores) => {
      const { transactions, logs } = stores;
      const from = await logs[0].cursor('c');
      const open = await opened(stores, (tx) => tx.moveCursor('c', from, TO));
      const second = transactions.run((tx) => tx.moveCursor('c', from, TO));
      assert.equal(await hasEnded(stores, second), false);
      await open.commit();
      await assert.rejects(second, { code: 'UNAVAILABLE' });
    });

    holds(
      'a response is stored once for each key; a second one at the same moment waits, and is refused',
      async (stores) => {
        const { transactions } = stores;
        const open = await opened(stores, (tx) => tx.idempotency.save(KEY, ANSWER));
        const second = transactions.run((tx) => tx.idempotency.save(KEY, { ...ANSWER, status: 500 }));
        assert.equal(await hasEnded(stores, second), false);
        await open.commit();
        await assert.rejects(second, { code: 'IDEMPOTENCY_KEY_REUSED' });
        assert.deepEqual(await transactions.run((tx) => tx.idempotency.find(KEY)), ANSWER);
        const other = { ...KEY, operation: 'place' };
        assert.equal(await transactions.run((tx) => tx.idempotency.find(other)), undefined);
      },
    );

    holds(
      'a dead letter parks its order for its consumer and is published; a parked event is not',
      async (stores) => {
        const { transactions, deadLetters, logs } = stores;
        const event = randomUUID();
        await transactions.run((tx) => tx.deadLetters.add([letter('c', event, 'a'), parked('c', 'p', 'b')]));
        await transactions.run((tx) => tx.deadLetters.add([parked('c', 'p', 'b')]));
        const orders = ['a', 'b', 'x'];
        assert.deepEqual((await deadLetters.screen('c', [], orders)).parked, new Set(['a', 'b']));
        assert.deepEqual((await deadLetters.screen('d', [], orders)).parked, new Set());
        const filter = { topics: new Set(['dlq.order-events']), types: new Set<string>() };
        const [published, ...others] = (await logs[0].read(BEGINNING, filter, 10)).deliveries;
        assert.deepEqual(others, []);
        assert.deepEqual(
          [published?.topic, published?.key, published?.record, published?.headers],
          [
            'dlq.order-events',
            'a',
            { n: 1 },
            {
              'x-retry-count': '3',
              'x-original-topic': 'raw.order-events',
              'x-error': 'poison',
              'x-consumer': 'c',
            },
          ],
        );
      },
    );

    holds('the event of an order is appended with it', async (stores) => {
      const { transactions, logs, orders } = stores;
      await seed(stores, order('a'));
      const event = processingEvent('a', randomUUID());
      await transactions.run(async (tx) => {
        await tx.saveOrders([started('a')]);
        await tx.appendEvents([event]);
        await tx.appendEvents([]);
      });
      const [delivery] = (await logs[0].read(BEGINNING, FILTER, 10)).deliveries;
      assert.deepEqual([delivery?.key, delivery?.topic, delivery?.record], ['a', event.eventType, event]);
      const taken = await orders.place([
        { order: order('a'), event: createdEvent(order('a')), fingerprint: 'g' },
      ]);
      assert.deepEqual(taken, [{ outcome: 'id-taken', order: started('a'), fingerprint: 'f' }]);
    });
  });
}

function parked(consumer: string, eventId: string, orderId: string) {
  return { consumer, eventId, orderId, topic: 'raw.order-events', record: { n: 1 }, retryCount: 0 };
}

function letter(consumer: string, eventId: string, orderId: string) {
  return { ...parked(consumer, eventId, orderId), error: 'poison', retryCount: 3 };
}

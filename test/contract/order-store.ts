/** What every order store does: placing in groups, idempotency keys, lists. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import type { Order } from '../../internal/domain/order.ts';
import type { OrderQuery, Placement } from '../../internal/service/orders/ports.ts';
import { BEGINNING, type StoredResponse } from '../../internal/service/ports.ts';
import { CONTENTS, createdEvent, movedTo, placedOrder } from '../support/builders.ts';
import { NOON } from '../support/manual-clock.ts';
import { opened } from './transactions.ts';
import { hasEnded, id, type Stores, type World } from './worlds.ts';

const ANSWER: StoredResponse = {
  fingerprint: 'f',
  status: 201,
  headers: { Location: '/orders/x' },
  body: { id: 'x', price: 12.5 },
};
const keyOf = (key: string, fingerprint = 'f') => ({ principal: 'p', operation: 'place', key, fingerprint });

function placement(order: Order, options: { fingerprint?: string; key?: string } = {}): Placement {
  const { fingerprint = 'f', key } = options;
  const base = { order, event: createdEvent(order, randomUUID()), fingerprint };
  return key === undefined
    ? base
    : { ...base, idempotency: { key: keyOf(key, fingerprint), answer: { ...ANSWER, fingerprint } } };
}

export function orderStoreContract(name: string, world: World): void {
  describe(`the order store ${name}`, { timeout: 120_000 }, () => {
    const holds = (sentence: string, check: (stores: Stores) => Promise<void>) =>
      it(sentence, () => world(check));
    const found = async ({ orders }: Stores, name: string) => (await orders.find([id(name)]))[0];
    const events = async ({ logs }: Stores) => {
      const filter = { topics: new Set<string>(), types: new Set(['order.created']) };
      return (await logs[0].read(BEGINNING, filter, 1_000)).deliveries.length;
    };
    const named = (name: string, customerName = name) => placedOrder({ content: { id: name, customerName } });

    holds('orders are stored with their events, and each order is read back unchanged', async (stores) => {
      const placed = Object.values(CONTENTS).map((content) =>
        placedOrder({ content, scheduledAt: NOON + 1_234 }),
      );
      const outcomes = await stores.orders.place(placed.map((order) => placement(order)));
      assert.deepEqual(
        outcomes,
        placed.map(() => ({ outcome: 'placed' })),
      );
      for (const order of placed) assert.deepEqual(await found(stores, order.id), order);
      assert.equal(await events(stores), placed.length);
      assert.deepEqual(await stores.orders.place([]), []);
    });

    holds(
      'of two orders with the same id only the first is stored, in one group or in two',
      async (stores) => {
        const [first, second, other] = [named('twin', 'first'), named('twin', 'second'), named('a')];
        const outcomes = await stores.orders.place([
          placement(first),
          placement(second, { fingerprint: 'g' }),
          placement(other),
        ]);
        const taken = { outcome: 'id-taken', order: first, fingerprint: 'f' } as const;
        assert.deepEqual(outcomes, [{ outcome: 'placed' }, taken, { outcome: 'placed' }]);
        assert.deepEqual(await stores.orders.place([placement(second)]), [taken]);
        assert.equal(await events(stores), 2, 'each stored order has one event');
      },
    );

    holds(
      'a repeated key gets the stored response and places no second order, in one group or in two',
      async (stores) => {
        const [first, again, later] = [named('z'), named('a'), named('b')];
        const outcomes = await stores.orders.place([
          placement(first, { key: 'k' }),
          placement(again, { key: 'k' }),
        ]);
        assert.deepEqual(outcomes, [{ outcome: 'placed' }, { outcome: 'answered', answer: ANSWER }]);
        const repeated = await stores.orders.place([placement(later, { key: 'k', fingerprint: 'g' })]);
        assert.deepEqual(repeated, [{ outcome: 'answered', answer: ANSWER }]);
        assert.equal(await events(stores), 1);
      },
    );

    holds(
      'a key is not stored for an order that was there; its response is saved once and never replaced',
      async (stores) => {
        await stores.orders.place([placement(named('taken'))]);
        await stores.orders.place([placement(named('taken'), { key: 'k' })]);
        assert.equal(await stores.transactions.run((tx) => tx.idempotency.find(keyOf('k'))), undefined);
        await stores.orders.saveResponse(keyOf('k'), ANSWER);
        await stores.orders.saveResponse(keyOf('k'), { ...ANSWER, status: 500 });
        const repeated = await stores.orders.place([placement(named('new'), { key: 'k' })]);
        assert.deepEqual(repeated, [{ outcome: 'answered', answer: ANSWER }]);
      },
    );

    holds('a response that another process is storing at the same moment stays', async (stores) => {
      const open = await opened(stores, (tx) => tx.idempotency.save(keyOf('k'), ANSWER));
      const saving = stores.orders.saveResponse(keyOf('k'), { ...ANSWER, status: 500 });
      const placing = stores.orders.place([placement(named('a'), { key: 'k' })]);
      assert.equal(await hasEnded(stores, Promise.race([saving, placing])), false);
      await open.commit();
      await saving;
      assert.deepEqual(await placing, [{ outcome: 'answered', answer: ANSWER }]);
      assert.deepEqual(await stores.transactions.run((tx) => tx.idempotency.find(keyOf('k'))), ANSWER);
      assert.equal(await found(stores, 'a'), undefined);
    });

    holds('an order whose row is locked is found to be taken without a wait', async (stores) => {
      await stores.orders.place([placement(named('a'))]);
      const open = await opened(stores, (tx) => tx.lockOrders([id('a')]));
      await stores.orders.place([placement(named('a'))]);
      await open.commit();
    });

    holds('concurrent groups with the same keys and ids place each order once', async (stores) => {
      const groups = Array.from({ length: 6 }, (_, group) =>
        Array.from({ length: 12 }, (_, n) => {
          const number = group % 2 ? n : 11 - n;
          return placement(named(`shared-${number}`), number % 3 ? {} : { key: `key-${number}` });
        }),
      );
      const outcomes = (await Promise.all(groups.map((group) => stores.orders.place(group)))).flat();
      assert.equal(outcomes.filter(({ outcome }) => outcome === 'placed').length, 12);
      assert.equal(await events(stores), 12);
    });

    holds('unknown and repeated ids are found once or not at all', async (stores) => {
      await stores.orders.place([placement(named('a'))]);
      const some = await stores.orders.find([id('a'), id('nobody'), id('a')]);
      assert.deepEqual(
        some.map(({ id }) => id),
        ['a'],
      );
    });

    holds(
      'orders are listed newest first, page by page, with filters for status and time',
      async (stores) => {
        const placed = Array.from({ length: 12 }, (_, n) => placedOrder({ at: NOON + Math.floor(n / 3) }));
        await stores.orders.place(placed.map((order) => placement(order)));
        const done = placed.slice(0, 5).map((order) => movedTo(order, 'PROCESSING'));
        await stores.transactions.run((tx) => tx.saveOrders(done));
        const pages = async (query: Partial<OrderQuery>) => {
          const all: Order[] = [];
          for (;;) {
            const last = all.at(-1);
            const page = await stores.orders.list({ ...query, limit: 4, ...(last ? { after: last } : {}) });
            if (page.length === 0) return all.map(({ id }) => id);
            all.push(...page);
          }
        };
        const newestFirst = (some: readonly Order[]) =>
          [...some].sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1)).map(({ id }) => id);
        assert.deepEqual(await pages({}), newestFirst(placed));
        assert.deepEqual(await pages({ status: 'PROCESSING' }), newestFirst(done));
        const between = placed.filter(({ createdAt }) => createdAt >= NOON + 1 && createdAt < NOON + 3);
        assert.deepEqual(
          await pages({ createdFrom: NOON + 1, createdBefore: NOON + 3 }),
          newestFirst(between),
        );
      },
    );
  });
}

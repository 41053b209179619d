/** What every store of stock does: whole orders or nothing, once each, never below zero. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Line } from '../../internal/domain/inventory.ts';
import { opened } from './transactions.ts';
import { hasEnded, id, type Stores, type World } from './worlds.ts';

type Request = readonly [id: string, ...lines: Line[]];
const line = (itemId: string, quantity: number) => ({ itemId, quantity });
const requests = (some: readonly Request[]) =>
  some.map(([orderId, ...lines]) => ({ orderId: id(orderId), lines }));

export function stockContract(name: string, world: World): void {
  describe(`stock ${name}`, { timeout: 120_000 }, () => {
    const holds = (sentence: string, check: (stores: Stores) => Promise<void>) =>
      it(sentence, () => world(check));
    const reserve = ({ transactions, inventory }: Stores, ...some: Request[]) =>
      transactions.run((tx) => inventory.reserve(tx, requests(some)));
    const outcomes = async (stores: Stores, ...some: Request[]) =>
      (await reserve(stores, ...some)).outcomes.map(({ orderId, outcome }) => `${orderId} ${outcome}`);
    const release = ({ transactions, inventory }: Stores, ...ids: string[]) =>
      transactions.run((tx) => inventory.release(tx, ids.map(id)));

    holds(
      'reservations follow the given sequence, each in full or not at all, and lines of an item are added up',
      async (stores) => {
        await stores.stock({ dal: 5, rice: 1 });
        const { outcomes } = await reserve(
          stores,
          ['a', line('dal', 2), line('dal', 1)],
          ['b', line('dal', 1), line('rice', 2)],
          ['c', line('rice', 1), line('dal', 2)],
          ['d', line('ghost', 1)],
        );
        assert.deepEqual(outcomes, [
          { orderId: 'a', outcome: 'reserved', lines: [line('dal', 3)] },
          { orderId: 'b', outcome: 'rejected', missing: [{ itemId: 'rice', requested: 2, available: 1 }] },
          { orderId: 'c', outcome: 'reserved', lines: [line('rice', 1), line('dal', 2)] },
          { orderId: 'd', outcome: 'rejected', missing: [{ itemId: 'ghost', requested: 1, available: 0 }] },
        ]);
        assert.deepEqual(await stores.shelf(), { dal: 0, rice: 0 });
      },
    );

    holds(
      'stock is reserved once for an order, in one batch or in several, and not again after a rejection or a release',
      async (stores) => {
        await stores.stock({ dal: 10 });
        assert.deepEqual(await outcomes(stores, ['a', line('dal', 2)], ['a', line('dal', 9)]), [
          'a reserved',
        ]);
        assert.deepEqual(await outcomes(stores, ['a', line('dal', 2)], ['b', line('dal', 1)]), [
          'b reserved',
        ]);
        assert.deepEqual(await outcomes(stores, ['c', line('dal', 11)]), ['c rejected']);
        await release(stores, 'a');
        assert.deepEqual(await outcomes(stores, ['a', line('dal', 2)], ['c', line('dal', 1)]), []);
        assert.deepEqual(await stores.shelf(), { dal: 9 });
      },
    );

    holds('stock is released once, and only what was reserved', async (stores) => {
      await stores.stock({ dal: 10, rice: 4 });
      await reserve(stores, ['a', line('dal', 2), line('rice', 1)], ['b', line('dal', 3)]);
      await outcomes(stores, ['c', line('rice', 9)]);
      assert.deepEqual(await release(stores, 'nobody', 'c'), []);
      const released = (await release(stores, 'a', 'nobody', 'a')).map((one) => ({ ...one }));
      assert.deepEqual(released, [{ orderId: 'a', lines: [line('dal', 2), line('rice', 1)] }]);
      assert.deepEqual(await release(stores, 'a'), []);
      await Promise.all(Array.from({ length: 5 }, () => release(stores, 'b')));
      assert.deepEqual(await stores.shelf(), { dal: 10, rice: 4 });
    });

    holds(
      'low stock is reported once as it falls to the threshold, with the last order that took of it',
      async (stores) => {
        await stores.stock({ dal: 10 }, 4);
        await stores.stock({ rice: 10 });
        const low = async (...some: Request[]) => (await reserve(stores, ...some)).low;
        assert.deepEqual(await low(['a', line('dal', 5)], ['b', line('rice', 10)]), []);
        assert.deepEqual(await low(['c', line('dal', 1)], ['d', line('dal', 9)]), [
          { orderId: 'c', itemId: 'dal', stockCount: 4, threshold: 4 },
        ]);
        assert.deepEqual(await low(['e', line('dal', 1)]), [], 'it is low already');
        await release(stores, 'a', 'c');
        assert.equal((await low(['f', line('dal', 7)])).length, 1, 'it was above the threshold again');
      },
    );

    holds(
      'concurrent orders take the stock one after the other, and never more than there is',
      async (stores) => {
        await stores.stock({ dal: 5, rice: 20 });
        const answers = await Promise.all(
          Array.from({ length: 12 }, (_, n) => {
            const lines = [line('dal', 1), line('rice', 1)];
            return outcomes(stores, [`o${n}`, ...(n % 2 ? lines : lines.reverse())]);
          }),
        );
        assert.equal(answers.flat().filter((answer) => answer.endsWith(' reserved')).length, 5);
        assert.deepEqual(await stores.shelf(), { dal: 0, rice: 15 });
      },
    );

    holds('a reservation that is rolled back leaves the stock to those who wait for it', async (stores) => {
      await stores.stock({ dal: 1 });
      const open = await opened(stores, (tx) =>
        stores.inventory.reserve(tx, requests([['a', line('dal', 1)]])),
      );
      const second = outcomes(stores, ['b', line('dal', 1)]);
      assert.equal(await hasEnded(stores, second), false);
      assert.deepEqual(await stores.shelf(), { dal: 1 });
      await open.rollBack();
      assert.deepEqual(await second, ['b reserved']);
      assert.deepEqual(await outcomes(stores, ['a', line('dal', 1)]), ['a rejected']);
    });

    holds(
      'two who reserve for one order at the same moment, without its lock, do not both take stock',
      async (stores) => {
        await stores.stock({ dal: 5 });
        const open = await opened(stores, (tx) =>
          stores.inventory.reserve(tx, requests([['a', line('dal', 1)]])),
        );
        const second = reserve(stores, ['a', line('dal', 1)]);
        assert.equal(await hasEnded(stores, second), false);
        await open.commit();
        await assert.rejects(second);
        assert.deepEqual(await stores.shelf(), { dal: 4 });
      },
    );

    holds('two who release one order at the same moment return its stock once', async (stores) => {
      await stores.stock({ dal: 5 });
      await reserve(stores, ['a', line('dal', 2)]);
      const open = await opened(stores, (tx) => stores.inventory.release(tx, [id('a')]));
      const second = release(stores, 'a');
      assert.equal(await hasEnded(stores, second), false);
      await open.commit();
      assert.deepEqual(await second, []);
      assert.deepEqual(await stores.shelf(), { dal: 5 });
    });

    holds('nothing is asked of the stock by an empty batch', async (stores) => {
      assert.deepEqual(await reserve(stores), { outcomes: [], low: [] });
      assert.deepEqual(await release(stores), []);
    });
  });
}

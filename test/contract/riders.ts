/** What every store of riders does: who is free, and never more orders than a rider takes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Place } from '../../internal/domain/delivery.ts';
import { NOON } from '../support/manual-clock.ts';
import { opened } from './transactions.ts';
import { hasEnded, type Stores, type World } from './worlds.ts';

const [NEAR, NEARER, FAR]: [Place, Place, Place] = [
  [18.98, 72.82],
  [18.971, 72.811],
  [19.5, 73.5],
];
const PICKUP: Place = [18.97, 72.81];

export function ridersContract(name: string, world: World): void {
  describe(`riders ${name}`, { timeout: 120_000 }, () => {
    const holds = (sentence: string, check: (stores: Stores) => Promise<void>) =>
      it(sentence, () => world(check));
    const put = ({ riders }: Stores, id: string, place?: Place, changes: object = {}) =>
      riders.put(
        { id, name: id, isOnDuty: true, capacity: 2, ...(place ? { place } : {}), ...changes },
        NOON,
      );
    const take = ({ transactions, riders }: Stores, wanted: Record<string, number>, regardless = false) =>
      transactions.run((tx) => riders.take(tx, new Map(Object.entries(wanted)), { regardless }));
    const release = ({ transactions, riders }: Stores, ...ids: string[]) =>
      transactions.run((tx) => riders.release(tx, ids));
    const carrying = async ({ riders }: Stores, ...ids: string[]) =>
      (await riders.find(ids)).map((rider) => rider.carrying);
    const free = ({ transactions, riders }: Stores, pickups: (Place | undefined)[], limit: number) =>
      transactions.run(async (tx) => (await riders.free(tx, pickups, limit)).map(({ id }) => id).sort());

    holds(
      'a rider is added, changed and found; what is carried stays, and the place if none is given',
      async (stores) => {
        const anna = {
          id: 'anna',
          name: 'anna',
          isOnDuty: true,
          place: NEAR,
          placeAt: NOON,
          carrying: 0,
          capacity: 2,
        };
        assert.deepEqual(await put(stores, 'anna', NEAR), anna);
        await take(stores, { anna: 1 });
        const changed = { ...anna, name: 'Anna', isOnDuty: false, carrying: 1 };
        assert.deepEqual(await put(stores, 'anna', undefined, { name: 'Anna', isOnDuty: false }), changed);
        assert.deepEqual(await stores.riders.find(['anna', 'nobody', 'anna']), [changed]);
      },
    );

    holds('a place that is older than the stored one is ignored', async (stores) => {
      const { riders } = stores;
      await put(stores, 'anna', NEAR);
      const at = async () => {
        const [anna] = await riders.find(['anna']);
        return [anna?.place, anna?.placeAt];
      };
      assert.equal(await riders.move('anna', FAR, NOON - 1), true);
      assert.deepEqual(await at(), [NEAR, NOON]);
      assert.equal(await riders.move('anna', FAR, NOON + 1), true);
      assert.deepEqual(await at(), [FAR, NOON + 1]);
      assert.equal(await stores.transactions.run((tx) => riders.move('anna', NEAR, NOON + 2, tx)), true);
      assert.deepEqual(await at(), [NEAR, NOON + 2]);
      assert.equal(await riders.move('nobody', FAR, NOON), false);
    });

    holds('free are the nearest riders of each pickup, and some whose place is unknown', async (stores) => {
      await put(stores, 'far', FAR);
      await put(stores, 'near', NEAR);
      await put(stores, 'nearer', NEARER);
      await put(stores, 'off duty', PICKUP, { isOnDuty: false });
      await put(stores, 'full', PICKUP, { capacity: 1 });
      await take(stores, { full: 1 });
      for (const lost of ['lost 1', 'lost 2', 'lost 3']) await put(stores, lost);
      await take(stores, { 'lost 1': 1 });
      assert.deepEqual(await free(stores, [PICKUP], 2), ['lost 2', 'lost 3', 'near', 'nearer']);
      assert.deepEqual(await free(stores, [PICKUP, FAR], 1), ['far', 'lost 2', 'nearer']);
      assert.deepEqual(await free(stores, [undefined], 4), ['far', 'lost 2', 'lost 3', 'near']);
    });

    holds('places are taken as far as capacity and duty allow, or regardless of both', async (stores) => {
      await put(stores, 'anna');
      await put(stores, 'bela', undefined, { isOnDuty: false });
      assert.deepEqual(await take(stores, {}), new Map());
      assert.deepEqual(await take(stores, { anna: 3, bela: 1, nobody: 1 }), new Map([['anna', 2]]));
      assert.deepEqual(await take(stores, { anna: 1 }), new Map());
      const regardless = await take(stores, { anna: 2, bela: 1, nobody: 1 }, true);
      assert.deepEqual(
        regardless,
        new Map([
          ['anna', 2],
          ['bela', 1],
        ]),
      );
      await release(stores, 'anna', 'anna', 'bela', 'nobody');
      await release(stores);
      assert.deepEqual(await carrying(stores, 'anna', 'bela'), [2, 0]);
    });

    holds('a rider never carries fewer than no orders', async (stores) => {
      await put(stores, 'anna');
      await assert.rejects(release(stores, 'anna'));
      assert.deepEqual(await carrying(stores, 'anna'), [0]);
    });

    holds(
      'of two who want the last place at the same moment the second waits, and gets none',
      async (stores) => {
        await put(stores, 'anna', undefined, { capacity: 1 });
        for (const isCommitted of [false, true]) {
          const open = await opened(stores, (tx) => stores.riders.take(tx, new Map([['anna', 1]])));
          const second = take(stores, { anna: 1 });
          assert.equal(await hasEnded(stores, second), false);
          assert.deepEqual(await carrying(stores, 'anna'), [0]);
          await (isCommitted ? open.commit() : open.rollBack());
          assert.deepEqual(await second, new Map(isCommitted ? [] : [['anna', 1]]));
          if (!isCommitted) await release(stores, 'anna');
        }
      },
    );
  });
}

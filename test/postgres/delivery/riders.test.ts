/** Riders and deliveries on a real Postgres: reading and saving, the nearest riders, and their capacity. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Delivery, Place } from '../../../internal/domain/delivery.ts';
import type { OrderId } from '../../../internal/domain/order.ts';
import { NOON } from '../../support/manual-clock.ts';
import { type RiderTown, riderTown } from '../../support/riders.ts';

describe('riders', () => {
  let town: RiderTown;
  before(async () => {
    town = await riderTown();
  });
  after(() => town.close());
  beforeEach(() => town.clear());
  const free = async (pickups: (Place | undefined)[], limit: number) =>
    (await town.transactions.run((tx) => town.riders.free(tx, pickups, limit))).map(({ id }) => id);
  const take = (wanted: Record<string, number>, regardless = false) =>
    town.transactions.run(async (tx) =>
      Object.fromEntries(await town.riders.take(tx, new Map(Object.entries(wanted)), { regardless })),
    );

  it('free riders are found nearest first for each pickup, together with riders without a known place', async () => {
    for (let n = 0; n < 5; n += 1) {
      await town.rider(`south-${n}`, { place: [n / 100, 0] });
      await town.rider(`north-${n}`, { place: [60 + n / 100, 0] });
    }
    await town.riders.put({ id: 'somewhere', name: 'x', isOnDuty: true, capacity: 1 }, NOON);
    await town.rider('off-duty', { place: [0, 0], isOnDuty: false });
    await town.rider('full', { place: [0, 0], capacity: 1 });
    await take({ full: 1 });
    assert.deepEqual(await free([[0, 0]], 2), ['somewhere', 'south-0', 'south-1']);
    const both: Place[] = [
      [60, 0],
      [0, 0],
    ];
    assert.deepEqual(await free(both, 1), ['north-0', 'somewhere', 'south-0']);
    assert.equal((await free([undefined], 4)).length, 4);
    assert.equal((await free([undefined], 100)).length, 11);
  });

  it('the nearest riders are found through an index, even among 5,000', async () => {
    await town.pool.query(
      `INSERT INTO riders (rider_id, name, latitude, longitude)
       SELECT 'r' || n, 'x', (n * 7919 % 10000) / 1000.0, (n * 104729 % 10000) / 1000.0 FROM generate_series(1, 5000) n`,
    );
    await town.pool.query('ANALYZE riders');
    const { rows } = await town.pool.query(
      `EXPLAIN SELECT r.* FROM unnest('{1,2}'::float8[], '{1,2}'::float8[]) AS p(latitude, longitude) CROSS JOIN LATERAL (
         SELECT rider_id FROM riders WHERE is_on_duty AND carrying < capacity AND latitude IS NOT NULL
         ORDER BY point(longitude, latitude) <-> point(p.longitude, p.latitude) LIMIT 5) r`,
    );
    assert.match(JSON.stringify(rows), /riders_free/);
  });

  it('fifty concurrent transactions do not exceed the capacity of the riders', async () => {
    await town.rider('ravi', { capacity: 7 });
    await town.rider('asha', { capacity: 5 });
    const wanted = (n: number): Record<string, number> =>
      n % 2 ? { ravi: 1, asha: 1 } : { asha: 1, ravi: 1 };
    const results = await Promise.all(Array.from({ length: 50 }, (_, n) => take(wanted(n))));
    const sum = (id: string) => results.reduce((total, result) => total + (result[id] ?? 0), 0);
    assert.deepEqual([sum('ravi'), sum('asha'), await town.carrying()], [7, 5, { asha: 5, ravi: 7 }]);
  });

  describe('deliveries', () => {
    const requested: Delivery = {
      orderId: 'a' as OrderId,
      state: 'REQUESTED',
      attempts: 0,
      requestedAt: NOON,
    };
    const full: Delivery = {
      ...requested,
      state: 'PICKED_UP',
      riderId: 'ravi',
      holdsPlace: true,
      restaurantId: 'r1',
      pickupAddress: '1 Tardeo Road \ud800',
      pickup: [18.97, 72.81],
      dropoff: [19, 73],
      attempts: 3,
      readyAt: NOON + 1,
      assignedAt: NOON + 2,
      pickedUpAt: NOON + 3,
      deliveredAt: NOON + 4,
      eta: { median: NOON + 5, p90: NOON + 6, computedAt: NOON + 7 },
    };
    const save = (...all: Delivery[]) => town.transactions.run((tx) => town.deliveries.save(tx, all));

    it('deliveries are read back as they were saved, and as they were changed', async () => {
      const b = { ...requested, orderId: 'b' as OrderId };
      await save({ ...full, state: 'REQUESTED', holdsPlace: undefined } as never, b);
      await save(full);
      const found = await town.deliveries.find(['a', 'b', 'c'] as OrderId[]);
      assert.deepEqual(found.get('a' as OrderId), { ...full, pickupAddress: '1 Tardeo Road \ufffd' });
      assert.deepEqual([found.get('b' as OrderId), found.size], [b, 2]);
    });

    const WRONG: readonly [what: string, delivery: Delivery][] = [
      ['an ASSIGNED delivery without a rider', { ...requested, state: 'ASSIGNED' }],
      ['a DELIVERED delivery that still holds a place', { ...full, state: 'DELIVERED' }],
      [
        'an ETA whose 90th percentile is before its median',
        { ...full, eta: { median: NOON, p90: NOON - 1, computedAt: NOON } },
      ],
    ];
    for (const [what, delivery] of WRONG) {
      it(`a check constraint refuses ${what}`, async () => {
        await assert.rejects(save(delivery), { code: '23514' });
      });
    }
  });
});

/** Tests of the choice of riders by distance, load and capacity. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Place, Rider } from './delivery.ts';
import { chooseRiders, searchDelayMs } from './matching.ts';
import type { OrderId } from './order.ts';

const RULES = { defaultDistanceM: 3_000, loadPenaltyM: 1_500 };
/** The place that many metres north of the pickup. */
const north = (metres: number): Place => [metres / 111_195, 0];
const PICKUP = north(0);

function rider(id: string, metres?: number, changes: Partial<Rider> = {}): Rider {
  const place = metres === undefined ? {} : { place: north(metres) };
  return { id, name: id, isOnDuty: true, carrying: 0, capacity: 2, ...place, ...changes };
}
const search = (id: string, pickup: Place | undefined = PICKUP) => ({
  orderId: id as OrderId,
  ...(pickup ? { pickup } : {}),
});
const choice = (searches: ReturnType<typeof search>[], riders: Rider[]) =>
  Object.fromEntries(chooseRiders(searches, riders, RULES));

test('the nearest rider gets the delivery', () => {
  assert.deepEqual(choice([search('a')], [rider('far', 2_000), rider('near', 500)]), { a: 'near' });
});

test('each order that a rider carries counts like 1,500 metres of distance', () => {
  const busy = rider('busy', 100, { carrying: 1 });
  assert.deepEqual(choice([search('a')], [busy, rider('idle', 1_500)]), { a: 'idle' });
  assert.deepEqual(choice([search('a')], [busy, rider('idle', 1_700)]), { a: 'busy' });
});

test('a delivery that a rider gets in this batch counts as carried', () => {
  const riders = [rider('near', 100), rider('far', 1_000)];
  assert.deepEqual(choice([search('a'), search('b'), search('c')], riders), {
    a: 'near',
    b: 'far',
    c: 'near',
  });
});

test('the distance to an unknown place counts as three kilometres', () => {
  assert.deepEqual(choice([search('a')], [rider('somewhere'), rider('far', 3_500)]), { a: 'somewhere' });
  assert.deepEqual(choice([search('a')], [rider('somewhere'), rider('near', 2_500)]), { a: 'near' });
  assert.deepEqual(choice([{ orderId: 'a' as OrderId }], [rider('r', 9_000, { carrying: 1 }), rider('s')]), {
    a: 's',
  });
});

test('a rider who is off duty or full is never chosen, and the first delivery chooses first', () => {
  const riders = [
    rider('off', 0, { isOnDuty: false }),
    rider('full', 0, { carrying: 2 }),
    rider('one', 0, { carrying: 1 }),
  ];
  assert.deepEqual(choice([search('a'), search('b')], riders), { a: 'one' });
});

test('no rider exceeds their capacity, and no delivery waits while a rider has free capacity', () => {
  const riders = fc.array(
    fc.record({
      carrying: fc.integer({ min: 0, max: 3 }),
      capacity: fc.integer({ min: 1, max: 3 }),
      isOnDuty: fc.boolean(),
      metres: fc.option(fc.integer({ min: 0, max: 9_000 }), { nil: undefined }),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(riders, fc.integer({ min: 0, max: 20 }), (made, count) => {
      const all = made.map(({ metres, ...changes }, n) => rider(`r${n}`, metres, changes));
      const before = structuredClone(all);
      const searches = Array.from({ length: count }, (_, n) => search(`o${n}`));
      const chosen = chooseRiders(searches, all, RULES);
      const room = (one: Rider) => (one.isOnDuty ? Math.max(0, one.capacity - one.carrying) : 0);
      const total = all.reduce((sum, one) => sum + room(one), 0);
      assert.equal(chosen.size, Math.min(total, count));
      for (const one of all)
        assert.ok([...chosen.values()].filter((id) => id === one.id).length <= room(one));
      assert.deepEqual(all, before, 'the argument is not changed');
    }),
  );
});

test('a rider is searched again after 5, 10 and 20 seconds, and then every 30 seconds', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5_000].map(searchDelayMs),
    [5_000, 10_000, 20_000, 30_000, 30_000, 30_000],
  );
});

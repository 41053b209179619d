/** Tests of deliveries in progress on a real Postgres: riders' reports, concurrent changes, and riders' loads. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Event } from '../../../internal/domain/events.ts';
import { isFinal, type OrderStatus } from '../../../internal/domain/order.ts';
import { type RiderTown, riderTown } from '../../support/riders.ts';

describe('deliveries in progress', () => {
  let town: RiderTown;
  before(async () => {
    town = await riderTown();
  });
  after(() => town.close());
  beforeEach(() => town.clear());
  const state = async (id: string) => [(await town.delivery(id))?.state, await town.status(id)];
  const code = (expected: string) => ({ name: 'TiffinError', code: expected });
  const ended = (type: 'order.cancelled' | 'order.delivered' | 'order.out_for_delivery', id: string) =>
    town.happened(type, id, { status: 'CANCELLED', version: 9 });

  /** Assigns each order to a rider who is named after it. */
  async function underWay(...ids: string[]) {
    await town.seed('ACCEPTED', ids);
    await Promise.all(ids.map((id) => town.rider(`rider-${id}`, { capacity: 1 })));
    for (const id of ids) {
      await town.pool.query(`UPDATE riders SET is_on_duty = rider_id = 'rider-' || $1`, [id]);
      await town.deliver(town.requested(id));
    }
  }

  it('reports of pick-up and delivery are published once each, and the delivery no longer counts in the rider’s load', async () => {
    await underWay('a');
    for (let time = 0; time < 5; time += 1) await town.report('rider-a', 'a', 'PICKED_UP');
    assert.deepEqual(await state('a'), ['PICKED_UP', 'OUT_FOR_DELIVERY']);
    assert.deepEqual(await town.carrying(), { 'rider-a': 1 });
    town.clock.advance(300_000);
    for (let time = 0; time < 5; time += 1) await town.report('rider-a', 'a', 'DELIVERED');
    await town.report('rider-a', 'a', 'PICKED_UP');
    assert.deepEqual(await state('a'), ['DELIVERED', 'DELIVERED']);
    assert.deepEqual([await town.carrying(), await town.timersSet()], [{ 'rider-a': 0 }, []]);
    assert.deepEqual((await town.announced()).slice(3), [
      'delivery.picked_up',
      'order.out_for_delivery',
      'eta.updated',
      'delivery.delivered',
      'order.delivered',
    ]);
    const delivery = await town.delivery('a');
    assert.equal((delivery?.deliveredAt ?? 0) - (delivery?.pickedUpAt ?? 0), 300_000);
    await town.deliver(ended('order.delivered', 'a'));
    assert.deepEqual(await town.carrying(), { 'rider-a': 0 });
  });

  it('food that is ready brings the arrival forward at once, and is noted for a delivery that still looks for a rider', async () => {
    await town.seed('ACCEPTED', ['waiting']);
    await town.deliver(town.requested('waiting'));
    await underWay('a');
    const readyAt = new Date(town.clock.now()).toISOString();
    await town.pool.query(`UPDATE deliveries SET ready_at = $1`, [new Date(town.clock.now() + 3_600_000)]);
    await town.deliver(town.ranOut('eta', 'a'));
    const late = (await town.delivery('a'))?.eta?.median ?? 0;
    for (const id of ['a', 'waiting', 'unknown'])
      await town.deliver(town.happened('restaurant.ready', id, { restaurantId: 'r1', readyAt }));
    for (const id of ['a', 'waiting'])
      assert.equal((await town.delivery(id))?.readyAt, Date.parse(readyAt), id);
    const due = (await town.timersSet()).filter((timer) => /eta/.test(JSON.stringify(timer)));
    assert.equal(due.length, 1, 'only the delivery with a rider has an ETA');
    await town.deliver(town.ranOut('eta', 'a'));
    const early = (await town.delivery('a'))?.eta?.median ?? 0;
    assert.ok(early <= late - 3_000_000, `from ${late} to ${early}`);
  });

  it('a delivery is refused before its pick-up, and so is a report of a rider who does not have the order', async () => {
    await underWay('a', 'b');
    await assert.rejects(town.report('rider-a', 'a', 'DELIVERED'), code('NOT_PICKED_UP'));
    await assert.rejects(town.report('rider-b', 'a', 'PICKED_UP'), code('RIDER_NOT_ON_ORDER'));
    await assert.rejects(town.report('rider-a', 'no-such-order', 'PICKED_UP'), code('RIDER_NOT_ON_ORDER'));
    await assert.rejects(town.report('nobody', 'a', 'PICKED_UP'), code('RIDER_NOT_FOUND'));
    assert.deepEqual(await state('a'), ['ASSIGNED', 'RIDER_ASSIGNED']);
  });

  it('a pick-up of a cancelled order is refused with TOO_LATE, before and after the rider is released', async () => {
    await underWay('a');
    await town.cancel('a');
    await assert.rejects(town.report('rider-a', 'a', 'PICKED_UP'), code('TOO_LATE'));
    await town.deliver(ended('order.cancelled', 'a'));
    await assert.rejects(town.report('rider-a', 'a', 'PICKED_UP'), code('TOO_LATE'));
    assert.deepEqual(
      [await state('a'), await town.carrying()],
      [['RELEASED', 'CANCELLED'], { 'rider-a': 0 }],
    );
  });

  it('the rider of a cancelled order is released once, although the event is redelivered', async () => {
    await underWay('a', 'b');
    await town.report('rider-b', 'b', 'PICKED_UP');
    await Promise.all([town.cancel('a'), town.cancel('b')]);
    const events = [ended('order.cancelled', 'a'), ended('order.cancelled', 'b')];
    for (let time = 0; time < 5; time += 1) await town.deliver(...events);
    for (const event of events) await town.deliver({ ...event, eventId: `${event.eventId}-again` });
    assert.deepEqual(await town.carrying(), { 'rider-a': 0, 'rider-b': 0 });
    assert.equal((await town.announced()).filter((type) => type === 'delivery.released').length, 2);
    assert.deepEqual(await town.timersSet(), []);
  });

  it('a delivery follows an order that an operator has moved', async () => {
    await underWay('a', 'b');
    await town.advance('a', 'OUT_FOR_DELIVERY');
    await town.deliver(ended('order.out_for_delivery', 'a'));
    assert.deepEqual(await state('a'), ['PICKED_UP', 'OUT_FOR_DELIVERY']);
    for (const id of ['a', 'b']) {
      if (id === 'b') await town.advance('b', 'OUT_FOR_DELIVERY');
      await town.advance(id, 'DELIVERED');
      for (let time = 0; time < 2; time += 1) await town.deliver(ended('order.delivered', id));
      assert.deepEqual(await state(id), ['DELIVERED', 'DELIVERED']);
    }
    assert.deepEqual(await town.carrying(), { 'rider-a': 0, 'rider-b': 0 });
    const types = (await town.announced()).filter((type) => /^delivery\.(picked_up|delivered)$/.test(type));
    assert.deepEqual(types.sort(), ['delivery.delivered', 'delivery.delivered', 'delivery.picked_up']);
  });

  it('a delivery gets a new ETA from the rider’s current place at every refresh until it is delivered', async () => {
    await underWay('a');
    const etas: (number | undefined)[] = [];
    for (const place of [[18.98, 72.81], [18.975, 72.81], undefined] as const) {
      if (place) await town.riders.move('rider-a', place, town.clock.now());
      await town.deliver(town.ranOut('eta', 'a'));
      const { eta } = (await town.delivery('a')) ?? {};
      etas.push(eta && Math.round((eta.median - eta.computedAt) / 1_000));
      assert.deepEqual(await town.timersSet(), ['a eta +30']);
      town.clock.advance(30_000);
    }
    // 1,112 and 556 metres to the counter at five metres a second, plus the rest of the way.
    assert.deepEqual(etas, [222 + 720, 111 + 720, 111 + 720]);
    await town.report('rider-a', 'a', 'PICKED_UP');
    await town.report('rider-a', 'a', 'DELIVERED');
    const before = await town.announced();
    await town.deliver(town.ranOut('eta', 'a'), town.ranOut('eta', 'unknown'));
    assert.deepEqual([await town.announced(), await town.timersSet()], [before, []]);
  });

  it('a later ETA has a later time, even within a millisecond or by a slower clock', async () => {
    await underWay('a');
    const times: number[] = [];
    for (const ms of [0, 0, -300_000, 600_000]) {
      town.clock.advance(ms);
      await town.deliver(town.ranOut('eta', 'a'));
      times.push(((await town.delivery('a'))?.eta?.computedAt ?? 0) - town.clock.now());
    }
    const [first = 0] = times;
    assert.deepEqual(times, [first, first + 1, first + 300_002, 0]);
  });

  it('a cancelled order gets no more ETAs, even before its rider is released', async () => {
    await underWay('a');
    await town.cancel('a');
    const before = await town.announced();
    await town.deliver(town.ranOut('eta', 'a'));
    assert.deepEqual([await town.announced(), await town.timersSet()], [before, []]);
  });

  it('the times of a report are never in the future, and a delivery is never before its pick-up', async () => {
    await underWay('a');
    const now = town.clock.now();
    await town.report('rider-a', 'a', 'PICKED_UP', now + 50_000);
    assert.equal((await town.delivery('a'))?.pickedUpAt, now);
    await town.report('rider-a', 'a', 'DELIVERED', now - 50_000);
    assert.equal((await town.delivery('a'))?.deliveredAt, now);
  });

  it('concurrent actions and redelivered events leave deliveries, orders and riders’ loads consistent', async () => {
    const actions = fc.record({
      kind: fc.oneof(
        { weight: 3, arbitrary: fc.constant('request' as const) },
        { weight: 6, arbitrary: fc.constantFrom('pickUp' as const, 'deliver' as const) },
        { weight: 6, arbitrary: fc.constantFrom('retry', 'external', 'cancel', 'operator', 'eta', 'duty') },
      ),
      order: fc.integer({ min: 0, max: 2 }),
      rider: fc.integer({ min: 0, max: 1 }),
    });
    const ends = new Set<OrderStatus>();
    const runs = fc.asyncProperty(
      fc.array(fc.array(actions, { minLength: 1, maxLength: 6 }), { minLength: 2, maxLength: 8 }),
      async (rounds) => {
        await town.clear();
        const ids = ['o0', 'o1', 'o2'];
        await town.seed('ACCEPTED', ids);
        const isOnDuty = [true, true];
        for (const n of [0, 1]) await town.rider(`r${n}`, { capacity: n + 1 });
        const refused = (error: { code?: string }) =>
          assert.match(
            String(error.code),
            /^(ILLEGAL_TRANSITION|TOO_LATE|NOT_PICKED_UP|RIDER_NOT_ON_ORDER)$/,
          );
        const act = async ({ kind, order, rider }: { kind: string; order: number; rider: number }) => {
          const [id, riderId] = [`o${order}`, `r${rider}`];
          const carrier = (await town.delivery(id))?.riderId ?? riderId;
          if (kind === 'request') await town.deliver(town.requested(id));
          if (kind === 'retry') await town.deliver(town.ranOut('rider', id));
          if (kind === 'eta') await town.deliver(town.ranOut('eta', id));
          if (kind === 'external')
            await town.heard({ orderId: id, riderId, assignedAt: '2030-01-01T12:00:00Z' });
          if (kind === 'cancel') await town.cancel(id).catch(refused);
          if (kind === 'pickUp') await town.report(carrier, id, 'PICKED_UP').catch(refused);
          if (kind === 'deliver') await town.report(carrier, id, 'DELIVERED').catch(refused);
          if (kind === 'operator') await town.advance(id, 'OUT_FOR_DELIVERY').catch(refused);
          if (kind === 'duty') {
            isOnDuty[rider] = !isOnDuty[rider];
            await town.rider(riderId, { capacity: rider + 1, isOnDuty: isOnDuty[rider] as boolean });
          }
        };
        let seen = 0;
        const follow = async () => {
          const all = await town.events();
          const unseen: Event[] = all.slice(seen);
          seen = all.length;
          await town.deliver(...unseen);
        };
        for (const round of rounds) {
          await Promise.all([...round.map(act), follow()]);
          await town.project();
        }
        for (let time = 0; time < 5; time += 1) {
          await town.deliver(...(await town.events()));
          await town.project();
        }
        await town.assertBooksAddUp();
        await town.assertViewsAreCurrent();
        const { rows } = await town.pool.query('SELECT consumer, error FROM dead_letters');
        assert.deepEqual(rows, []);
        for (const id of ids) {
          const [delivery, status] = [await town.delivery(id), await town.status(id)];
          if (status) ends.add(status);
          const isOpen = delivery && /^(REQUESTED|ASSIGNED|PICKED_UP)$/.test(delivery.state);
          if (status && isFinal(status)) assert.ok(!isOpen, `${id} is ${status} and ${delivery?.state}`);
          assert.equal(delivery?.state === 'ASSIGNED', status === 'RIDER_ASSIGNED');
          assert.equal(delivery?.state === 'PICKED_UP', status === 'OUT_FOR_DELIVERY');
          const types = (await town.announced(id)).filter((type) => type !== 'eta.updated');
          assert.equal(new Set(types).size, types.length, `published once: ${types}`);
        }
      },
    );
    await fc.assert(runs, { numRuns: 60, endOnFailure: true });
    for (const end of ['CANCELLED', 'DELIVERED', 'RIDER_ASSIGNED', 'OUT_FOR_DELIVERY', 'ACCEPTED'] as const)
      assert.ok(ends.has(end), `${end} was reached`);
    assert.deepEqual(town.log.at('error'), []);
  });
});

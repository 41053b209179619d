/** Deliveries on their way, on a real Postgres: what riders report, what others do meanwhile, and places that always add up. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Event } from '../../../internal/domain/events.ts';
import { isFinal, type OrderStatus } from '../../../internal/domain/order.ts';
import { type RiderTown, riderTown } from '../../support/riders.ts';

describe('deliveries on their way', () => {
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

  /** With riders of the same names as their orders. */
  async function underWay(...ids: string[]) {
    await town.seed('ACCEPTED', ids);
    await Promise.all(ids.map((id) => town.rider(`rider-${id}`, { capacity: 1 })));
    for (const id of ids) {
      await town.pool.query(`UPDATE riders SET is_on_duty = rider_id = 'rider-' || $1`, [id]);
      await town.deliver(town.requested(id));
    }
  }

  it('are picked up and delivered, each said once, and the rider has a place more', async () => {
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

  it('are not delivered before they are picked up, nor by a rider who does not carry them', async () => {
    await underWay('a', 'b');
    await assert.rejects(town.report('rider-a', 'a', 'DELIVERED'), code('NOT_PICKED_UP'));
    await assert.rejects(town.report('rider-b', 'a', 'PICKED_UP'), code('RIDER_NOT_ON_ORDER'));
    await assert.rejects(town.report('rider-a', 'no-such-order', 'PICKED_UP'), code('RIDER_NOT_ON_ORDER'));
    await assert.rejects(town.report('nobody', 'a', 'PICKED_UP'), code('RIDER_NOT_FOUND'));
    assert.deepEqual(await state('a'), ['ASSIGNED', 'RIDER_ASSIGNED']);
  });

  it('are too late to be picked up once the order is cancelled, before and after the rider is freed', async () => {
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

  it('free their rider once when the order drops out, however often that is said', async () => {
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

  it("follow an operator's word", async () => {
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
    const said = (await town.announced()).filter((type) => /^delivery\.(picked_up|delivered)$/.test(type));
    assert.deepEqual(said.sort(), ['delivery.delivered', 'delivery.delivered', 'delivery.picked_up']);
  });

  it('have a new ETA at every refresh, from where the rider is by then, until they are at the door', async () => {
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
    // 1,112 and 556 metres to the counter at five metres a second, on top of the rest of the way.
    assert.deepEqual(etas, [222 + 720, 111 + 720, 111 + 720]);
    await town.report('rider-a', 'a', 'PICKED_UP');
    await town.report('rider-a', 'a', 'DELIVERED');
    const before = await town.announced();
    await town.deliver(town.ranOut('eta', 'a'), town.ranOut('eta', 'unknown'));
    assert.deepEqual([await town.announced(), await town.timersSet()], [before, []]);
  });

  it('have no more ETAs once the order is cancelled, though the rider is not freed yet', async () => {
    await underWay('a');
    await town.cancel('a');
    const before = await town.announced();
    await town.deliver(town.ranOut('eta', 'a'));
    assert.deepEqual([await town.announced(), await town.timersSet()], [before, []]);
  });

  it('are said to be where the rider was at that time, by a clock that may go ahead a little', async () => {
    await underWay('a');
    const now = town.clock.now();
    await town.report('rider-a', 'a', 'PICKED_UP', now + 50_000);
    assert.equal((await town.delivery('a'))?.pickedUpAt, now);
    await town.report('rider-a', 'a', 'DELIVERED', now - 50_000);
    assert.equal((await town.delivery('a'))?.deliveredAt, now);
  });

  it('always leave the books right, whoever does what at the same moment, and every event comes again', async () => {
    const happening = fc.record({
      what: fc.oneof(
        { weight: 3, arbitrary: fc.constant('ask' as const) },
        { weight: 6, arbitrary: fc.constantFrom('pickUp' as const, 'deliver' as const) },
        { weight: 6, arbitrary: fc.constantFrom('retry', 'outside', 'cancel', 'operator', 'eta', 'duty') },
      ),
      order: fc.integer({ min: 0, max: 2 }),
      rider: fc.integer({ min: 0, max: 1 }),
    });
    const ends = new Set<OrderStatus>();
    const runs = fc.asyncProperty(
      fc.array(fc.array(happening, { minLength: 1, maxLength: 6 }), { minLength: 2, maxLength: 8 }),
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
        const act = async ({ what, order, rider }: { what: string; order: number; rider: number }) => {
          const [id, riderId] = [`o${order}`, `r${rider}`];
          const carrier = (await town.delivery(id))?.riderId ?? riderId;
          if (what === 'ask') await town.deliver(town.requested(id));
          if (what === 'retry') await town.deliver(town.ranOut('rider', id));
          if (what === 'eta') await town.deliver(town.ranOut('eta', id));
          if (what === 'outside')
            await town.heard({ orderId: id, riderId, assignedAt: '2030-01-01T12:00:00Z' });
          if (what === 'cancel') await town.cancel(id).catch(refused);
          if (what === 'pickUp') await town.report(carrier, id, 'PICKED_UP').catch(refused);
          if (what === 'deliver') await town.report(carrier, id, 'DELIVERED').catch(refused);
          if (what === 'operator') await town.advance(id, 'OUT_FOR_DELIVERY').catch(refused);
          if (what === 'duty') {
            isOnDuty[rider] = !isOnDuty[rider];
            await town.rider(riderId, { capacity: rider + 1, isOnDuty: isOnDuty[rider] as boolean });
          }
        };
        let seen = 0;
        const follow = async () => {
          const all = await town.events();
          const fresh: Event[] = all.slice(seen);
          seen = all.length;
          await town.deliver(...fresh);
        };
        for (const round of rounds) await Promise.all([...round.map(act), follow()]);
        for (let time = 0; time < 5; time += 1) {
          await town.deliver(...(await town.events()));
        }
        await town.assertBooksAddUp();
        const { rows } = await town.pool.query('SELECT consumer, error FROM dead_letters');
        assert.deepEqual(rows, []);
        for (const id of ids) {
          const [delivery, status] = [await town.delivery(id), await town.status(id)];
          if (status) ends.add(status);
          const isOpen = delivery && /^(REQUESTED|ASSIGNED|PICKED_UP)$/.test(delivery.state);
          if (status && isFinal(status)) assert.ok(!isOpen, `${id} is ${status} and ${delivery?.state}`);
          assert.equal(delivery?.state === 'ASSIGNED', status === 'RIDER_ASSIGNED');
          assert.equal(delivery?.state === 'PICKED_UP', status === 'OUT_FOR_DELIVERY');
          const said = (await town.announced(id)).filter((type) => type !== 'eta.updated');
          assert.equal(new Set(said).size, said.length, `said once: ${said}`);
        }
      },
    );
    await fc.assert(runs, { numRuns: 60, endOnFailure: true });
    for (const end of ['CANCELLED', 'DELIVERED', 'RIDER_ASSIGNED', 'OUT_FOR_DELIVERY', 'ACCEPTED'] as const)
      assert.ok(ends.has(end), `${end} was reached`);
    assert.deepEqual(town.log.at('error'), []);
  });
});

/** Tests of assigning riders on a real Postgres: matching, capacity, retries, redelivery, and external assignments. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { ETA_REFRESH_MS, PICKUP, type RiderTown, riderTown } from '../../support/riders.ts';

describe('riders for deliveries', () => {
  let town: RiderTown;
  before(async () => {
    town = await riderTown();
  });
  after(() => town.close());
  beforeEach(() => town.clear());
  const names = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => `${prefix}${n}`);
  const count = async (state: string) => {
    const { rows } = await town.pool.query('SELECT count(*)::int AS n FROM deliveries WHERE state = $1', [
      state,
    ]);
    return rows[0].n;
  };

  it('the nearest rider is assigned, the order moves on, and the events have the trace of the request', async () => {
    await town.seed('PREPARING', ['a']);
    await town.rider('far', { place: [19.2, 72.9] });
    await town.rider('near');
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await town.deliver({ ...town.requested('a'), traceparent });
    const delivery = await town.delivery('a');
    assert.deepEqual(
      [delivery?.state, delivery?.riderId, delivery?.pickup, delivery?.assignedAt],
      ['ASSIGNED', 'near', PICKUP, town.clock.now()],
    );
    assert.equal(await town.status('a'), 'RIDER_ASSIGNED');
    assert.deepEqual(await town.announced(), ['delivery.assigned', 'order.rider_assigned', 'eta.updated']);
    const [, assigned, , updated] = await town.events();
    assert.deepEqual(assigned?.payload, {
      riderId: 'near',
      assignedAt: new Date(town.clock.now()).toISOString(),
      pickupLocation: { restaurantId: 'r1', address: '1 Tardeo Road' },
    });
    assert.deepEqual([assigned?.traceparent, updated?.traceparent], [traceparent, traceparent]);
    // The rider is at the counter: a minute there, three kilometres at five metres a second, a minute at the door.
    assert.equal(delivery?.eta?.median, town.clock.now() + 720_000);
    assert.deepEqual(await town.timersSet(), [`a eta +${ETA_REFRESH_MS / 1_000}`]);
    assert.deepEqual(await town.carrying(), { far: 0, near: 1 });
  });

  it('a rider is assigned to an order without a restaurant, whose pickup is unknown', async () => {
    await town.seed('CONFIRMED', ['a'], 'delivery');
    await town.rider('ravi');
    await town.deliver(town.happened('rider.requested', 'a', {}));
    assert.deepEqual(
      [(await town.delivery('a'))?.riderId, await town.status('a')],
      ['ravi', 'RIDER_ASSIGNED'],
    );
  });

  it('a request for an unknown order, or one that needs no rider, is ignored', async () => {
    await town.rider('ravi');
    await town.seed('CANCELLED', ['cancelled']);
    await town.seed('CONFIRMED', ['unanswered']);
    await town.deliver(...['cancelled', 'unanswered', 'unknown'].map(town.requested));
    assert.deepEqual([await town.announced(), await town.carrying()], [[], { ravi: 0 }]);
    assert.equal(await town.delivery('cancelled'), undefined);
  });

  it('10 riders with a capacity of two get 20 of 100 deliveries, and the others wait', async () => {
    const ids = names('o', 100);
    await town.seed('ACCEPTED', ids);
    await Promise.all(names('r', 10).map((id) => town.rider(id)));
    const events = ids.map(town.requested);
    await town.deliver(...events);
    assert.deepEqual([await count('ASSIGNED'), await count('REQUESTED')], [20, 80]);
    assert.deepEqual(new Set(Object.values(await town.carrying())), new Set([2]));
    assert.equal((await town.timersSet()).filter((timer) => timer.endsWith('rider +5')).length, 80);
    await town.assertBooksAddUp();
  });

  it('10 riders with a capacity of two get 20 of 100 deliveries also from concurrent matchers', async () => {
    const ids = names('o', 100);
    await town.seed('ACCEPTED', ids);
    await Promise.all(names('r', 10).map((id) => town.rider(id)));
    const parts = [0, 1, 2, 3].map((part) => ids.filter((_, n) => n % 4 === part).map(town.requested));
    await Promise.all(parts.map((part) => town.deliver(...part)));
    // A delivery that lost a race has a timer for the next search.
    for (let round = 0; round < 3; round += 1) {
      const waiting = (await town.timersSet()).filter((timer) => timer.includes(' rider '));
      await town.deliver(...waiting.map((timer) => town.ranOut('rider', timer.split(' ')[0] as string)));
    }
    assert.deepEqual([await count('ASSIGNED'), await count('REQUESTED')], [20, 80]);
    await town.assertBooksAddUp();
  });

  it('one of two concurrent deliveries gets the last free place of a rider', async () => {
    await town.rider('ravi', { capacity: 1 });
    for (let round = 0; round < 20; round += 1) {
      const [one, other] = [`a${round}`, `b${round}`] as const;
      await town.seed('ACCEPTED', [one, other]);
      await Promise.all([town.deliver(town.requested(one)), town.deliver(town.requested(other))]);
      const [winner, loser] = (await town.status(one)) === 'RIDER_ASSIGNED' ? [one, other] : [other, one];
      assert.deepEqual([await town.status(winner), await town.status(loser)], ['RIDER_ASSIGNED', 'ACCEPTED']);
      assert.deepEqual(await town.carrying(), { ravi: 1 });
      await town.cancel(loser);
      await town.cancel(winner);
      await town.deliver(...[winner, loser].map(cancelled));
      assert.deepEqual(await town.carrying(), { ravi: 0 });
    }
  });

  it('the search for a rider is repeated after 5, 10, 20 and 30 seconds, until a rider is on duty', async () => {
    await town.seed('ACCEPTED', ['a']);
    await town.rider('ravi', { isOnDuty: false });
    await town.deliver(town.requested('a'));
    const waits: string[][] = [];
    for (let round = 0; round < 5; round += 1) {
      waits.push(await town.timersSet());
      await town.deliver(town.ranOut('rider', 'a'));
    }
    assert.deepEqual(waits.flat(), [
      'a rider +5',
      'a rider +10',
      'a rider +20',
      'a rider +30',
      'a rider +30',
    ]);
    assert.deepEqual(await town.announced(), ['delivery.requested']);
    await town.rider('ravi');
    await town.deliver(town.ranOut('rider', 'a'));
    assert.deepEqual([(await town.delivery('a'))?.riderId, await town.timersSet()], ['ravi', ['a eta +30']]);
  });

  it('the search for a rider ends when the order is cancelled', async () => {
    await town.seed('ACCEPTED', ['a', 'b']);
    await town.deliver(town.requested('a'), town.requested('b'));
    await Promise.all([town.cancel('a'), town.cancel('b')]);
    await town.rider('ravi');
    await town.deliver(town.ranOut('rider', 'a'), cancelled('b'));
    const trail = ['delivery.requested', 'order.cancelled', 'delivery.withdrawn'];
    for (const id of ['a', 'b'])
      assert.deepEqual([(await town.delivery(id))?.state, await town.announced(id)], ['RELEASED', trail]);
    assert.deepEqual([await town.timersSet(), await town.carrying()], [[], { ravi: 0 }]);
  });

  it('an event that is delivered five times takes effect once', async () => {
    await town.seed('ACCEPTED', ['a', 'b']);
    await town.rider('ravi', { capacity: 1 });
    const events = [
      town.requested('a'),
      town.requested('b'),
      town.ranOut('rider', 'b'),
      town.ranOut('eta', 'a'),
    ];
    for (let time = 0; time < 5; time += 1) await town.deliver(...events);
    assert.deepEqual(await town.announced('a'), [
      'delivery.assigned',
      'order.rider_assigned',
      'eta.updated',
      'eta.updated',
    ]);
    assert.deepEqual(
      [await town.announced('b'), (await town.delivery('b'))?.attempts],
      [['delivery.requested'], 2],
    );
    await town.assertBooksAddUp();
  });

  it('a second request for the same order is ignored', async () => {
    await town.seed('ACCEPTED', ['a']);
    await town.rider('ravi');
    await town.deliver(town.requested('a'), town.requested('a'));
    await town.deliver(town.requested('a'));
    assert.deepEqual(await town.carrying(), { ravi: 1 });
    await town.seed('ACCEPTED', ['b', 'c']);
    await town.deliver(town.requested('b'), town.requested('c'));
    await town.deliver(town.ranOut('rider', 'c'));
    await town.deliver(town.requested('c'));
    assert.equal((await town.delivery('c'))?.attempts, 2, 'the search goes on as before');
  });

  describe('external assignments', () => {
    const record = (orderId: string, riderId = 'OUTSIDE-1') => ({
      eventType: 'rider_assigned',
      orderId,
      riderId,
      assignedAt: '2030-01-01T17:25:00+05:30',
      pickupLocation: { restaurantId: 'r1', address: '2510 Lagoon Way' },
    });

    it('an external assignment of an unknown rider is accepted, and not published again', async () => {
      await town.seed('ACCEPTED', ['a']);
      await town.heard(record('a'));
      const delivery = await town.delivery('a');
      assert.deepEqual(
        [delivery?.state, delivery?.riderId, delivery?.pickupAddress, delivery?.pickup, delivery?.holdsPlace],
        ['ASSIGNED', 'OUTSIDE-1', '2510 Lagoon Way', PICKUP, undefined],
      );
      assert.deepEqual(await town.announced(), ['order.rider_assigned', 'eta.updated']);
      await town.report('OUTSIDE-1', 'a', 'PICKED_UP');
      await town.report('OUTSIDE-1', 'a', 'DELIVERED');
      assert.equal(await town.status('a'), 'DELIVERED');
    });

    it('an external assignment of a known rider counts in their load, even beyond the capacity, and ends the search', async () => {
      await town.seed('ACCEPTED', ['a', 'b', 'c']);
      await town.rider('ravi', { capacity: 1 });
      await town.deliver(town.requested('a'), town.requested('b'));
      await town.heard({ ...record('b', 'ravi'), eventType: undefined });
      assert.deepEqual(
        [await town.carrying(), await town.timersSet()],
        [{ ravi: 2 }, ['a eta +30', 'b eta +30']],
      );
      await town.deliver(town.requested('c'));
      assert.equal(await town.status('c'), 'ACCEPTED');
      for (const id of ['a', 'b']) {
        await town.report('ravi', id, 'PICKED_UP');
        await town.report('ravi', id, 'DELIVERED');
      }
      assert.deepEqual(await town.carrying(), { ravi: 0 });
    });

    it('the end of an external assignment does not lower the load of a rider who became known later', async () => {
      await town.seed('ACCEPTED', ['a', 'b']);
      await town.heard(record('a', 'ravi'));
      await town.rider('ravi');
      await town.deliver(town.requested('b'));
      await town.cancel('a');
      await town.deliver(cancelled('a'));
      assert.deepEqual([(await town.delivery('a'))?.state, await town.carrying()], ['RELEASED', { ravi: 1 }]);
    });

    it('an external assignment may have an envelope, and takes effect once by its event id or position', async () => {
      await town.seed('ACCEPTED', ['a', 'b']);
      await town.rider('ravi');
      const { orderId, eventType: _, ...payload } = record('a', 'ravi');
      for (let time = 0; time < 5; time += 1) await town.heard({ eventId: 'x', orderId, payload });
      for (let time = 0; time < 5; time += 1) await town.heard(record('b', 'ravi'), '0-17');
      assert.deepEqual([await town.carrying(), (await town.announced()).length], [{ ravi: 2 }, 4]);
      assert.deepEqual(town.log.at('error', 'warn'), []);
    });

    it('an external assignment is skipped if the order has a rider, needs none or is unknown, or if Tiffin published it', async () => {
      await town.seed('ACCEPTED', ['a']);
      await town.seed('CANCELLED', ['b']);
      await town.rider('ravi');
      await town.deliver(town.requested('a'));
      for (const id of ['a', 'b', 'c']) await town.heard(record(id));
      await town.seed('ACCEPTED', ['d']);
      await town.heard({ ...record('d'), producer: 'delivery-service' });
      assert.deepEqual([(await town.delivery('a'))?.riderId, await town.status('d')], ['ravi', 'ACCEPTED']);
      assert.equal((await town.announced()).length, 3);
    });

    const MALFORMED: readonly [kind: string, record: unknown, fault: RegExp][] = [
      ['text', 'hello', /not a JSON object/],
      ['no order', { ...record('a'), orderId: 7 }, /orderId/],
      ['no rider', { ...record('a'), riderId: '' }, /riderId/],
      ['a rider id that is too long', { ...record('a'), riderId: 'r'.repeat(65) }, /riderId/],
      ['no time', { ...record('a'), assignedAt: undefined }, /assignedAt/],
      ['a time that is an object', { ...record('a'), assignedAt: { toString: 1 } }, /assignedAt/],
      ['a time without an offset', { ...record('a'), assignedAt: '2030-01-01T12:00:00' }, /assignedAt/],
      ['no address at the pickup', { ...record('a'), pickupLocation: { restaurantId: 'r1' } }, /address/],
    ];
    for (const [kind, malformed, fault] of MALFORMED) {
      it(`a record with ${kind} becomes a dead letter`, async () => {
        await town.seed('ACCEPTED', ['a']);
        await town.heard(malformed);
        const { rows } = await town.pool.query('SELECT error FROM dead_letters');
        assert.match(rows[0]?.error ?? '', fault);
        assert.equal(await town.status('a'), 'ACCEPTED');
      });
    }
  });

  function cancelled(id: string) {
    return town.happened('order.cancelled', id, { status: 'CANCELLED', version: 9 });
  }
});

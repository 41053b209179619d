/** Tests of tickets on a real Postgres: opening, automatic acceptance, closing, races, and redelivered events. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { EventOf } from '../../../internal/domain/events.ts';
import { ADDRESS } from '../../support/builders.ts';
import { type Kitchen, kitchen, PREPARATION_MS } from '../../support/kitchen.ts';

describe('tickets', () => {
  let town: Kitchen;
  before(async () => {
    town = await kitchen();
  });
  after(() => town.close());
  beforeEach(() => town.clear());
  const AUTO = { restaurantId: 'auto' };
  const cancel = (id: string) => town.command(id, { type: 'cancel' });

  it('a confirmed order gets an open ticket, and waits', async () => {
    await town.seed('CONFIRMED', ['a']);
    await town.deliver(await town.told('a'));
    const openedAt = town.clock.now();
    assert.deepEqual(await town.ticket('a'), { orderId: 'a', restaurantId: 'r1', state: 'OPEN', openedAt });
    assert.deepEqual([await town.status('a'), await town.announced()], ['CONFIRMED', []]);
  });

  it('a restaurant with automatic acceptance accepts at once, and a rider is requested, with the trace of the request', async () => {
    await town.seed('CONFIRMED', ['a'], AUTO);
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await town.deliver({ ...(await town.told('a')), traceparent });
    await town.deliverAll();
    assert.deepEqual([(await town.ticket('a'))?.state, await town.status('a')], ['ACCEPTED', 'PREPARING']);
    const events = await town.events();
    assert.deepEqual(events.map(({ eventType }) => eventType).sort(), [
      'order.accepted',
      'order.preparing',
      'restaurant.accepted',
      'rider.requested',
    ]);
    const readyAt = new Date(town.clock.now() + PREPARATION_MS).toISOString();
    const payload = (type: string) => events.find(({ eventType }) => eventType === type)?.payload;
    assert.deepEqual(payload('restaurant.accepted'), {
      restaurantId: 'auto',
      acceptedAt: new Date(town.clock.now()).toISOString(),
      estimatedReadyTime: readyAt,
    });
    assert.deepEqual(payload('rider.requested'), {
      pickupLocation: { restaurantId: 'auto', address: '1 Tardeo Road' },
      deliveryAddress: ADDRESS,
      readyAt,
    });
    for (const event of events) assert.equal(event.traceparent, traceparent, event.eventType);
  });

  it('no rider is requested for an order that is collected', async () => {
    await town.seed('CONFIRMED', ['a'], { ...AUTO, kind: 'restaurant' });
    await town.deliver(await town.told('a'));
    await town.deliverAll();
    assert.deepEqual((await town.announced()).sort(), [
      'order.accepted',
      'order.preparing',
      'restaurant.accepted',
    ]);
  });

  it('an order that is unknown, or has no restaurant or an unknown one, does not disturb the other orders', async () => {
    await town.seed('CONFIRMED', ['none'], { kind: 'delivery' });
    await town.seed('CONFIRMED', ['closed'], { restaurantId: 'closed down' });
    await town.seed('CONFIRMED', ['a'], AUTO);
    const unknown = town.happened('order.confirmed', 'unknown', { status: 'CONFIRMED', version: 3 });
    await town.deliver(unknown, await town.told('none'), await town.told('closed'), await town.told('a'));
    assert.deepEqual([await town.ticket('none'), await town.ticket('unknown')], [undefined, undefined]);
    // An unknown restaurant has no automatic acceptance.
    assert.equal((await town.ticket('closed'))?.state, 'OPEN');
    assert.equal(await town.status('a'), 'PREPARING');
    assert.deepEqual(await town.letters(), []);
  });

  it('an event that is delivered five times, in one batch or in several, takes effect once', async () => {
    const ids = ['a', 'b', 'c'];
    await town.seed('CONFIRMED', ids, AUTO);
    await town.seed('CONFIRMED', ['m']);
    const confirmed = await Promise.all([...ids, 'm'].map((id) => town.told(id)));
    await Promise.all([town.deliver(...confirmed), town.deliver(...confirmed.toReversed())]);
    for (let time = 0; time < 3; time += 1) await town.deliver(...confirmed, ...confirmed);
    // A second confirmation with another event id.
    await town.deliver(...confirmed.map((event, n) => ({ ...event, eventId: `again-${n}` })));
    for (let time = 0; time < 5; time += 1) await town.deliverAll();
    const types = ['order.accepted', 'order.preparing', 'restaurant.accepted', 'rider.requested'];
    assert.deepEqual(
      (await town.announced()).sort(),
      types.flatMap((type) => ids.map(() => type)),
    );
    assert.equal((await town.ticket('m'))?.state, 'OPEN');
  });

  const ENDS = ['OUT_FOR_DELIVERY', 'DELIVERED', 'COMPLETED', 'FAILED', 'REJECTED', 'CANCELLED'] as const;
  for (const status of ENDS) {
    it(`the ticket of an order that is ${status} is closed and not listed`, async () => {
      await town.seed('CONFIRMED', ['a'], { kind: 'restaurant' });
      await town.deliver(await town.told('a'));
      const steps = ['ACCEPTED', 'PREPARING', 'OUT_FOR_DELIVERY', 'DELIVERED'] as const;
      const along = (to: (typeof steps)[number] | 'COMPLETED') =>
        ({ type: 'advance', to, by: 'request' }) as const;
      const ways = {
        OUT_FOR_DELIVERY: steps.slice(0, 3).map(along),
        DELIVERED: steps.map(along),
        COMPLETED: [along('ACCEPTED'), along('COMPLETED')],
        FAILED: [{ type: 'fail', reason: 'NO_RIDER' }],
        REJECTED: [{ type: 'reject', reason: 'NO_RESPONSE' }],
        CANCELLED: [{ type: 'cancel' }],
      } as const;
      await town.command('a', ...ways[status]);
      await town.deliverAll();
      assert.deepEqual([await town.status('a'), (await town.ticket('a'))?.state], [status, 'CLOSED']);
      assert.deepEqual(await town.tickets.listOpen('r1', { limit: 9 }), []);
    });
  }

  it('an order that an operator has accepted gets an accepted ticket and one rider request', async () => {
    await town.seed('CONFIRMED', ['a']);
    await town.deliver(await town.told('a'));
    await town.command('a', { type: 'advance', to: 'ACCEPTED', by: 'request' });
    await town.deliverAll();
    await town.deliverAll();
    assert.equal((await town.ticket('a'))?.state, 'ACCEPTED');
    assert.deepEqual(await town.announced(), ['order.accepted', 'restaurant.accepted', 'rider.requested']);
  });

  it('an order that was cancelled before its ticket was opened gets no open ticket, even if the events arrive in reverse', async () => {
    await town.seed('CONFIRMED', ['a'], AUTO);
    const confirmed = await town.told('a');
    await cancel('a');
    const cancelled = await town.told('a');
    await town.deliver(cancelled);
    await town.deliver(confirmed);
    assert.notEqual((await town.ticket('a'))?.state, 'OPEN');
    assert.deepEqual([await town.status('a'), await town.announced()], ['CANCELLED', ['order.cancelled']]);
    assert.deepEqual(await town.tickets.listOpen('auto', { limit: 9 }), []);
  });

  it('an order whose cancellation races with automatic acceptance ends CANCELLED without an open or accepted ticket', async () => {
    const ids = Array.from({ length: 20 }, (_, n) => `a${n}`);
    await town.seed('CONFIRMED', ids, AUTO);
    const confirmed = await Promise.all(ids.map((id) => town.told(id)));
    await Promise.all([...confirmed.map((event) => town.deliver(event)), ...ids.map(cancel)]);
    await town.deliverAll();
    for (const id of ids) {
      assert.deepEqual([id, await town.status(id)], [id, 'CANCELLED']);
      assert.notEqual((await town.ticket(id))?.state, 'OPEN');
      assert.notEqual((await town.ticket(id))?.state, 'ACCEPTED');
    }
    const events = (await town.events()) as EventOf<'restaurant.accepted'>[];
    const accepted = events.filter(({ eventType }) => eventType === 'restaurant.accepted');
    assert.equal(new Set(accepted.map(({ orderId }) => orderId)).size, accepted.length, 'once each');
    assert.deepEqual(await town.letters(), []);
  });
});

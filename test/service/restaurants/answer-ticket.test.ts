/** Restaurants' answers on a real Postgres: the first one counts, whoever gives it, and a refusal leaves everything as it was. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { EventOf } from '../../../internal/domain/events.ts';
import type { OrderStatus } from '../../../internal/domain/order.ts';
import { type Kitchen, kitchen, POOL, PREPARATION_MS } from '../../support/kitchen.ts';

describe('a restaurant’s answer', () => {
  let town: Kitchen;
  before(async () => {
    town = await kitchen();
  });
  after(() => town.close());
  beforeEach(() => town.clear());
  const REJECT = { type: 'reject', reason: 'NO_DOUGH' } as const;
  const codeOf = (error: unknown) => (error instanceof TiffinError ? error.code : error);
  const refused = (work: Promise<unknown>) => work.then(() => 'answered', codeOf);
  const open = async (...ids: string[]) => {
    await town.seed('CONFIRMED', ids);
    await town.deliver(...(await Promise.all(ids.map((id) => town.told(id)))));
  };
  const readyAt = async (id: string) => (await town.ticket(id))?.estimatedReadyAt;

  it('that accepts moves the order, and asks for a rider when it is to be ready', async () => {
    await open('a');
    const estimatedReadyAt = town.clock.now() + 1_200_000;
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await town.answer('a', { type: 'accept', estimatedReadyAt }, { traceparent });
    assert.deepEqual([await town.status('a'), await readyAt('a')], ['ACCEPTED', estimatedReadyAt]);
    await town.deliverAll();
    const events = await town.events();
    assert.deepEqual(
      events.map(({ eventType }) => eventType),
      ['restaurant.accepted', 'order.accepted', 'rider.requested'],
    );
    const ready = new Date(estimatedReadyAt).toISOString();
    assert.equal((events[0] as EventOf<'restaurant.accepted'>).payload.estimatedReadyTime, ready);
    assert.equal((events[2] as EventOf<'rider.requested'>).payload.readyAt, ready);
    for (const event of events) assert.equal(event.traceparent, traceparent);
  });

  it('that rejects ends the order, and says why', async () => {
    await open('a');
    await town.answer('a', REJECT);
    const [order] = await town.orders.find(['a' as never]);
    assert.ok(order?.status === 'REJECTED');
    assert.equal(order.reason, 'NO_DOUGH');
    await town.deliverAll();
    const ticket = await town.ticket('a');
    assert.deepEqual([ticket?.state, ticket?.reason], ['REJECTED', 'NO_DOUGH']);
    assert.deepEqual(await town.announced(), ['restaurant.rejected', 'order.rejected']);
  });

  it('without a time takes as long as it does as a rule, and one for a time in the past is ready now', async () => {
    await open('a', 'b');
    await town.answer('a');
    await town.answer('b', { type: 'accept', estimatedReadyAt: town.clock.now() - 1 });
    assert.equal(await readyAt('a'), town.clock.now() + PREPARATION_MS);
    assert.equal(await readyAt('b'), town.clock.now());
  });

  it('may come before the ticket was opened, which then finds it answered', async () => {
    await town.seed('CONFIRMED', ['a', 'b']);
    const told = [await town.told('a'), await town.told('b')];
    await town.answer('a');
    await town.answer('b', REJECT);
    await town.deliver(...told);
    await town.deliverAll();
    assert.deepEqual([await town.status('a'), (await town.ticket('a'))?.state], ['ACCEPTED', 'ACCEPTED']);
    assert.deepEqual([await town.status('b'), (await town.ticket('b'))?.state], ['REJECTED', 'REJECTED']);
  });

  describe('is refused, and changes nothing,', () => {
    const TOO_SOON: OrderStatus[] = ['CREATED', 'PROCESSING'];
    const TOO_LATE: OrderStatus[] = [
      'CANCELLED',
      'FAILED',
      'RIDER_ASSIGNED',
      'OUT_FOR_DELIVERY',
      'DELIVERED',
    ];
    for (const [code, statuses] of [
      ['ILLEGAL_TRANSITION', TOO_SOON],
      ['TOO_LATE', TOO_LATE],
    ] as const)
      for (const status of statuses)
        it(`of an order that is ${status}: ${code}, with that word`, async () => {
          await town.seed(status, ['a']);
          const before = await town.everything();
          for (const answer of [{ type: 'accept' }, REJECT] as const)
            await assert.rejects(town.answer('a', answer), { code, message: new RegExp(status) });
          assert.deepEqual(await town.everything(), before);
        });

    it('of an order that another restaurant has, or nobody', async () => {
      await open('a');
      await town.seed('CONFIRMED', ['none'], { kind: 'delivery' });
      const before = await town.everything();
      for (const [id, restaurantId] of [
        ['a', 'auto'],
        ['none', 'r1'],
        ['none', ''],
        ['nowhere', 'r1'],
      ] as const)
        assert.equal(
          await refused(town.answer(id, { type: 'accept' }, { restaurantId })),
          'TICKET_NOT_FOUND',
          `${id} at ${restaurantId}`,
        );
      assert.deepEqual(await town.everything(), before);
    });

    it('of one that was answered already, whatever it says now', async () => {
      await open('yes', 'no', 'brought');
      await town.answer('yes');
      await town.answer('no', REJECT);
      const before = await town.everything();
      const later = { type: 'accept', estimatedReadyAt: town.clock.now() + 1 } as const;
      for (const answer of [later, REJECT]) {
        assert.equal(await refused(town.answer('yes', answer)), 'ALREADY_ACCEPTED');
        assert.equal(await refused(town.answer('no', answer)), 'ALREADY_REJECTED');
      }
      assert.deepEqual(await town.everything(), before);
    });

    it('of one that had no answer in time', async () => {
      await open('a');
      await town.command('a', { type: 'reject', reason: 'NO_RESPONSE' });
      const before = await town.everything();
      await assert.rejects(town.answer('a'), { code: 'TOO_LATE', message: /REJECTED/ });
      await town.deliverAll();
      await assert.rejects(town.answer('a'), { code: 'TOO_LATE', message: /REJECTED/ });
      assert.deepEqual((await town.everything()).events, before.events);
    });
  });

  it('given twice at the same moment is one', async () => {
    const ids = Array.from({ length: 12 }, (_, n) => `a${n}`);
    await open(...ids);
    for (const id of ids) {
      const both = await Promise.all([refused(town.answer(id)), refused(town.answer(id, REJECT))]);
      const [first] = both.filter((outcome) => outcome === 'answered');
      assert.equal(first, 'answered');
      const isAccepted = (await town.status(id)) === 'ACCEPTED';
      assert.ok(both.includes(isAccepted ? 'ALREADY_ACCEPTED' : 'ALREADY_REJECTED'), both.join());
    }
    const answers = (await town.announced()).filter((type) => type.startsWith('restaurant.'));
    assert.equal(answers.length, ids.length);
  });

  it('races cancelling: the order ends cancelled, and no ticket stays open', async () => {
    const ids = Array.from({ length: 20 }, (_, n) => `a${n}`);
    await open(...ids);
    const cancel = (id: string) => town.command(id, { type: 'cancel' });
    const outcomes = await Promise.all(
      ids.flatMap((id, n) => {
        const race = [() => refused(town.answer(id)), () => cancel(id).then(() => 'cancelled')];
        return (n % 2 === 0 ? race : race.toReversed()).map((run) => run());
      }),
    );
    assert.deepEqual(
      new Set(outcomes.filter((outcome) => outcome !== 'answered' && outcome !== 'cancelled')),
      new Set(outcomes.includes('TOO_LATE') ? ['TOO_LATE'] : []),
    );
    await town.deliverAll();
    for (const id of ids)
      assert.deepEqual([await town.status(id), (await town.ticket(id))?.state], ['CANCELLED', 'CLOSED']);
  });

  it('is given by as many as want to at the same moment, with few connections', async () => {
    const ids = Array.from({ length: POOL * 4 }, (_, n) => `a${n}`);
    await open(...ids);
    const outcomes = await Promise.all(ids.map((id) => refused(town.answer(id))));
    assert.deepEqual(new Set(outcomes), new Set(['answered']));
  });

  it('is repeated word for word under its key, and never for another request', async () => {
    await open('a', 'b');
    const key = { principal: 'r1', operation: 'answer', key: 'k-1', fingerprint: 'one' };
    const answer = () => ({ status: 200, headers: {}, body: { said: town.clock.now() } });
    const ask = (id: string, fingerprint = 'one') =>
      town.answer(id, { type: 'accept' }, { idempotency: { key: { ...key, fingerprint }, answer } });
    await ask('a');
    const before = await town.everything();
    town.clock.advance(1_000);
    const again = await ask('a');
    assert.ok('answer' in again);
    assert.deepEqual(again.answer.body, { said: town.clock.now() - 1_000 });
    assert.equal(await refused(ask('b', 'other')), 'IDEMPOTENCY_KEY_REUSED');
    assert.deepEqual(await town.everything(), before);
    const fresh = { ...key, key: 'k-2' };
    const both = [1, 2].map(() =>
      refused(town.answer('b', { type: 'accept' }, { idempotency: { key: fresh, answer } })),
    );
    assert.deepEqual(await Promise.all(both), ['answered', 'answered']);
    assert.equal((await town.announced()).filter((type) => type === 'order.accepted').length, 2);
  });
});

/** Tests of restaurants' answers on a real Postgres: acceptance, rejection, refusals, races and idempotency keys. */
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

  it('an acceptance moves the order to ACCEPTED, and requests a rider with the ready time', async () => {
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

  it('a rejection moves the order to REJECTED with its reason', async () => {
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

  it('an acceptance without a time uses the usual preparation time, and one with a time in the past is ready now', async () => {
    await open('a', 'b');
    await town.answer('a');
    await town.answer('b', { type: 'accept', estimatedReadyAt: town.clock.now() - 1 });
    assert.equal(await readyAt('a'), town.clock.now() + PREPARATION_MS);
    assert.equal(await readyAt('b'), town.clock.now());
  });

  it('an answer may come before the ticket is opened, and stays when the ticket would be opened', async () => {
    await town.seed('CONFIRMED', ['a', 'b']);
    const confirmed = [await town.told('a'), await town.told('b')];
    await town.answer('a');
    await town.answer('b', REJECT);
    await town.deliver(...confirmed);
    await town.deliverAll();
    assert.deepEqual([await town.status('a'), (await town.ticket('a'))?.state], ['ACCEPTED', 'ACCEPTED']);
    assert.deepEqual([await town.status('b'), (await town.ticket('b'))?.state], ['REJECTED', 'REJECTED']);
  });

  describe('a refused answer', () => {
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
        it(`an answer to an order that is ${status} is refused with ${code} and a message that names the status`, async () => {
          await town.seed(status, ['a']);
          const before = await town.everything();
          for (const answer of [{ type: 'accept' }, REJECT] as const)
            await assert.rejects(town.answer('a', answer), { code, message: new RegExp(status) });
          assert.deepEqual(await town.everything(), before);
        });

    it('an answer to an unknown order, or to an order of another or no restaurant, is refused with TICKET_NOT_FOUND', async () => {
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

    it('a second answer is refused', async () => {
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

    it('an answer after the deadline is refused with TOO_LATE', async () => {
      await open('a');
      await town.command('a', { type: 'reject', reason: 'NO_RESPONSE' });
      const before = await town.everything();
      await assert.rejects(town.answer('a'), { code: 'TOO_LATE', message: /REJECTED/ });
      await town.deliverAll();
      await assert.rejects(town.answer('a'), { code: 'TOO_LATE', message: /REJECTED/ });
      assert.deepEqual((await town.everything()).events, before.events);
    });
  });

  it('one of two concurrent answers is accepted', async () => {
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

  it('an order whose answer races with a cancellation ends CANCELLED with a closed ticket', async () => {
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

  it('concurrent answers succeed although there are fewer connections', async () => {
    const ids = Array.from({ length: POOL * 4 }, (_, n) => `a${n}`);
    await open(...ids);
    const outcomes = await Promise.all(ids.map((id) => refused(town.answer(id))));
    assert.deepEqual(new Set(outcomes), new Set(['answered']));
  });

  it('a repeated answer gets the stored response of its idempotency key, and another request with the key is refused', async () => {
    await open('a', 'b');
    const key = { principal: 'r1', operation: 'answer', key: 'k-1', fingerprint: 'one' };
    const answer = () => ({ status: 200, headers: {}, body: { at: town.clock.now() } });
    const accept = (id: string, fingerprint = 'one') =>
      town.answer(id, { type: 'accept' }, { idempotency: { key: { ...key, fingerprint }, answer } });
    await accept('a');
    const before = await town.everything();
    town.clock.advance(1_000);
    const again = await accept('a');
    assert.ok('answer' in again);
    assert.deepEqual(again.answer.body, { at: town.clock.now() - 1_000 });
    assert.equal(await refused(accept('b', 'other')), 'IDEMPOTENCY_KEY_REUSED');
    assert.deepEqual(await town.everything(), before);
    const otherKey = { ...key, key: 'k-2' };
    const both = [1, 2].map(() =>
      refused(town.answer('b', { type: 'accept' }, { idempotency: { key: otherKey, answer } })),
    );
    assert.deepEqual(await Promise.all(both), ['answered', 'answered']);
    assert.equal((await town.announced()).filter((type) => type === 'order.accepted').length, 2);
  });
});

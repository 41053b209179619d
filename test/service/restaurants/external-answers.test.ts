/** Answers of other systems, read from `order_accepted` as the document has them: they count once, and are not said again. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { Event, EventOf } from '../../../internal/domain/events.ts';
import { type Kitchen, kitchen, PREPARATION_MS } from '../../support/kitchen.ts';
import { NOON } from '../../support/manual-clock.ts';

describe('another system’s answer', () => {
  let town: Kitchen;
  before(async () => {
    town = await kitchen();
  });
  after(() => town.close());
  beforeEach(() => town.clear());
  const LATER = new Date(NOON + 1_200_000).toISOString();
  const SAID = { orderId: 'a', restaurantId: 'r1', acceptedAt: new Date(NOON).toISOString() };
  const open = async (...ids: string[]) => {
    await town.seed('CONFIRMED', ids);
    await town.deliver(...(await Promise.all(ids.map((id) => town.told(id)))));
  };
  const enveloped = (eventType: string, payload: object, more = {}) => ({
    ...{ eventId: 'theirs-1', eventType, schemaVersion: 1, orderId: 'a', correlationId: 'a' },
    ...{ occurredAt: LATER, producedAt: LATER, producer: 'kitchen-display' },
    payload,
    ...more,
  });
  const outcome = async (id = 'a') => {
    const [order] = await town.orders.find([id as never]);
    const ticket = await town.ticket(id);
    return [order?.status, order && 'reason' in order ? order.reason : undefined, ticket?.state];
  };

  const ACCEPTANCES: Record<string, object> = {
    'as the document has it': { ...SAID, status: 'ACCEPTED', estimatedReadyTime: LATER },
    'in the words of the route': { orderId: 'a', action: 'ACCEPT', estimatedReadyTime: LATER },
    'with nothing but the order and the time': { orderId: 'a', estimatedReadyTime: LATER },
    'with the time in epoch milliseconds': { ...SAID, estimatedReadyTime: NOON + 1_200_000 },
    'in an envelope': enveloped('restaurant.accepted', {
      ...SAID,
      estimatedReadyTime: LATER,
    }),
    'in an envelope, with its fields beside it as well': enveloped(
      'order_accepted',
      {},
      { status: 'ACCEPTED', restaurantId: 'r1', estimatedReadyTime: LATER },
    ),
  };
  for (const [what, record] of Object.entries(ACCEPTANCES))
    it(`accepts, ${what}; five times is once, and the topic is not told again`, async () => {
      await open('a');
      await town.heard([record, record], ['0-1', '0-1']);
      for (let time = 0; time < 4; time += 1) await town.heard([record], ['0-1']);
      await town.deliverAll();
      assert.deepEqual(await outcome(), ['ACCEPTED', undefined, 'ACCEPTED']);
      assert.deepEqual(await town.announced(), ['order.accepted', 'rider.requested']);
      const [, requested] = (await town.events()) as EventOf<'rider.requested'>[];
      assert.equal(requested?.payload.readyAt, LATER);
      assert.deepEqual(await town.letters(), []);
    });

  const REJECTIONS: Record<string, object> = {
    'as a status': { ...SAID, status: 'REJECTED', reason: 'NO_DOUGH' },
    'as an action': { orderId: 'a', action: 'REJECT', reason: 'NO_DOUGH' },
    'in an envelope': enveloped('restaurant.rejected', {
      restaurantId: 'r1',
      rejectedAt: LATER,
      reason: 'NO_DOUGH',
    }),
    'in an envelope by its status': enveloped('order_accepted', { status: 'REJECTED', reason: 'NO_DOUGH' }),
  };
  for (const [what, record] of Object.entries(REJECTIONS))
    it(`rejects, ${what}`, async () => {
      await open('a');
      await town.heard([record]);
      await town.deliverAll();
      assert.deepEqual(await outcome(), ['REJECTED', 'NO_DOUGH', 'REJECTED']);
      assert.deepEqual(await town.announced(), ['order.rejected']);
    });

  it('without a time takes as long as it does as a rule', async () => {
    await open('a');
    await town.heard([{ orderId: 'a' }]);
    assert.equal((await town.ticket('a'))?.estimatedReadyAt, NOON + PREPARATION_MS);
  });

  it('is no business of Tiffin’s where Tiffin said it', async () => {
    await open('a', 'b');
    await town.answer('a');
    const own = (await town.events()).map((event: Event) => ({ ...event, status: 'ACCEPTED' }));
    await town.heard(own.map((event) => ({ ...event, orderId: 'b' })));
    assert.deepEqual(await outcome('b'), ['CONFIRMED', undefined, 'OPEN']);
    assert.deepEqual(
      [await town.letters(), await town.announced()],
      [[], ['restaurant.accepted', 'order.accepted']],
    );
  });

  const MALFORMED: Record<string, unknown> = {
    'that is no object': 'accepted',
    'of nobody’s order': { restaurantId: 'r1', status: 'ACCEPTED' },
    'of an order that cannot be': { ...SAID, orderId: 'a b' },
    'with a time that is none': { ...SAID, estimatedReadyTime: 'soon' },
    'with a time without an offset': { ...SAID, acceptedAt: '2030-01-01T12:00:00' },
    'with a restaurant that is none': { ...SAID, restaurantId: { id: 'r1' } },
    'with a status that is no answer': { ...SAID, status: 'PENDING' },
    'with an action that is no answer': { ...SAID, action: 'COLLECTED' },
  };
  for (const [what, record] of Object.entries(MALFORMED))
    it(`${what} is a dead letter, and its neighbours are heard`, async () => {
      await open('a', 'b', 'c');
      await town.heard([{ ...SAID, orderId: 'b' }, record, { ...SAID, orderId: 'c' }]);
      assert.equal((await town.letters()).length, 1);
      assert.deepEqual(
        [await town.status('a'), await town.status('b'), await town.status('c')],
        ['CONFIRMED', 'ACCEPTED', 'ACCEPTED'],
      );
    });

  it('that comes too late, twice, for a stranger’s order or for none is passed over, and its neighbours are heard', async () => {
    await open('ours', 'cancelled', 'strange', 'twice', 'a');
    await town.answer('ours');
    await town.command('cancelled', { type: 'cancel' });
    const before = await town.announced();
    await town.heard([
      ...['ours', 'cancelled', 'nowhere', 'a', 'twice'].map((orderId) => ({ ...SAID, orderId })),
      { ...SAID, orderId: 'strange', restaurantId: 'auto' },
      { ...SAID, orderId: 'twice', status: 'REJECTED' },
    ]);
    assert.deepEqual(await town.letters(), []);
    assert.deepEqual((await town.announced()).slice(before.length), ['order.accepted', 'order.accepted']);
    assert.deepEqual(
      await Promise.all(['ours', 'cancelled', 'strange', 'twice', 'a'].map((id) => town.status(id))),
      ['ACCEPTED', 'CANCELLED', 'CONFIRMED', 'ACCEPTED', 'ACCEPTED'],
    );
  });

  it('that came before is what a second one over HTTP is told of', async () => {
    await open('a', 'b');
    await town.heard([SAID, { orderId: 'b', status: 'REJECTED' }]);
    await assert.rejects(town.answer('a'), { code: 'ALREADY_ACCEPTED' });
    await assert.rejects(town.answer('b'), { code: 'ALREADY_REJECTED' });
  });

  it('races the restaurant’s own, and one of them counts', async () => {
    const ids = Array.from({ length: 10 }, (_, n) => `a${n}`);
    await open(...ids);
    await Promise.all([
      ...ids.map((id) => town.answer(id).catch(() => {})),
      // As many batches at once as a consumer has on Kafka.
      ...[0, 1, 2].map((part) =>
        town.heard(ids.filter((_, n) => n % 3 === part).map((orderId) => ({ ...SAID, orderId }))),
      ),
    ]);
    await town.deliverAll();
    const announced = await town.announced();
    for (const type of ['order.accepted', 'rider.requested'])
      assert.equal(announced.filter((one) => one === type).length, ids.length, type);
    assert.deepEqual(await town.letters(), []);
  });

  it('is heard once the database is back, where that was away', async () => {
    await open('a');
    const look = async () => {
      throw new TiffinError('UNAVAILABLE', 'the database cannot be reached');
    };
    await assert.rejects(town.heard([{ orderId: 'a' }], ['0-1'], { catalogue: { look } }), {
      code: 'UNAVAILABLE',
    });
    assert.deepEqual(await outcome(), ['CONFIRMED', undefined, 'OPEN']);
    await town.heard([{ orderId: 'a' }], ['0-1']);
    assert.deepEqual(await outcome(), ['ACCEPTED', undefined, 'ACCEPTED']);
  });

  for (const status of ['CREATED', 'PROCESSING'] as const)
    it(`that hears of the order by order_placed, and answers while it is ${status}, is kept until it is confirmed`, async () => {
      await town.seed(status, ['a', 'b', 'c']);
      await town.heard([
        { ...SAID, estimatedReadyTime: LATER },
        { orderId: 'b', status: 'REJECTED', reason: 'NO_DOUGH' },
        { ...SAID, orderId: 'c' },
      ]);
      assert.deepEqual([await town.status('a'), await town.announced()], [status, []]);
      const order = (await town.orders.find(['a' as never]))[0];
      const steps = [
        { type: 'start', dueAt: order?.dueAt as number },
        { type: 'advance', to: 'CONFIRMED', by: 'fact' },
      ] as const;
      await town.command('a', ...steps);
      await town.command('b', ...steps);
      await town.command('c', { type: 'fail', reason: 'PAYMENT_DECLINED' });
      await town.deliverAll();
      assert.deepEqual(await outcome('a'), ['ACCEPTED', undefined, 'ACCEPTED']);
      assert.deepEqual(await outcome('b'), ['REJECTED', 'NO_DOUGH', 'REJECTED']);
      assert.deepEqual(await outcome('c'), ['FAILED', 'PAYMENT_DECLINED', 'CLOSED']);
      const said = await town.announced();
      assert.equal(said.filter((type) => type === 'rider.requested').length, 1);
      assert.deepEqual(
        said.filter((type) => type.startsWith('restaurant.')),
        [],
      );
    });
});

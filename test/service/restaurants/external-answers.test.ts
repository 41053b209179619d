/** Tests of external systems' answers on `order_accepted`: formats, faults, races, and answers before the confirmation. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { Event, EventOf } from '../../../internal/domain/events.ts';
import { type Kitchen, kitchen, PREPARATION_MS } from '../../support/kitchen.ts';
import { NOON } from '../../support/manual-clock.ts';

describe('an external answer', () => {
  let town: Kitchen;
  before(async () => {
    town = await kitchen();
  });
  after(() => town.close());
  beforeEach(() => town.clear());
  const LATER = new Date(NOON + 1_200_000).toISOString();
  const ANSWER = { orderId: 'a', restaurantId: 'r1', acceptedAt: new Date(NOON).toISOString() };
  const open = async (...ids: string[]) => {
    await town.seed('CONFIRMED', ids);
    await town.deliver(...(await Promise.all(ids.map((id) => town.told(id)))));
  };
  const enveloped = (eventType: string, payload: object, more = {}) => ({
    ...{ eventId: 'external-1', eventType, schemaVersion: 1, orderId: 'a', correlationId: 'a' },
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
    'in the documented format': { ...ANSWER, status: 'ACCEPTED', estimatedReadyTime: LATER },
    'in the words of the route': { orderId: 'a', action: 'ACCEPT', estimatedReadyTime: LATER },
    'with only the order and the time': { orderId: 'a', estimatedReadyTime: LATER },
    'with the time in epoch milliseconds': { ...ANSWER, estimatedReadyTime: NOON + 1_200_000 },
    'in an envelope': enveloped('restaurant.accepted', {
      ...ANSWER,
      estimatedReadyTime: LATER,
    }),
    'in an envelope with flat fields': enveloped(
      'order_accepted',
      {},
      { status: 'ACCEPTED', restaurantId: 'r1', estimatedReadyTime: LATER },
    ),
  };
  for (const [format, record] of Object.entries(ACCEPTANCES))
    it(`an acceptance ${format} takes effect once in five deliveries, and is not published again`, async () => {
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
    'as a status': { ...ANSWER, status: 'REJECTED', reason: 'NO_DOUGH' },
    'as an action': { orderId: 'a', action: 'REJECT', reason: 'NO_DOUGH' },
    'in an envelope': enveloped('restaurant.rejected', {
      restaurantId: 'r1',
      rejectedAt: LATER,
      reason: 'NO_DOUGH',
    }),
    'in an envelope by its status': enveloped('order_accepted', { status: 'REJECTED', reason: 'NO_DOUGH' }),
  };
  for (const [format, record] of Object.entries(REJECTIONS))
    it(`a rejection ${format} rejects the order`, async () => {
      await open('a');
      await town.heard([record]);
      await town.deliverAll();
      assert.deepEqual(await outcome(), ['REJECTED', 'NO_DOUGH', 'REJECTED']);
      assert.deepEqual(await town.announced(), ['order.rejected']);
    });

  it('an answer with a time beyond ten years becomes a dead letter, and one in lower case is read', async () => {
    await open('a', 'b');
    await town.heard(
      [
        { orderId: 'a', estimatedReadyTime: '2041-01-01T00:00:00Z' },
        { orderId: 'a', estimatedReadyTime: NOON * 2 },
        { orderId: 'a', status: 'REJECTED', rejectedAt: '9999-12-31T23:59:59Z' },
        { orderId: 'b', estimatedReadyTime: LATER.toLowerCase() },
      ],
      ['0-1', '0-2', '0-3', '0-4'],
    );
    assert.equal((await town.letters()).length, 3);
    assert.deepEqual(await outcome('a'), ['CONFIRMED', undefined, 'OPEN']);
    assert.deepEqual(await outcome('b'), ['ACCEPTED', undefined, 'ACCEPTED']);
  });

  it('an acceptance without a time uses the usual preparation time', async () => {
    await open('a');
    await town.heard([{ orderId: 'a' }]);
    assert.equal((await town.ticket('a'))?.estimatedReadyAt, NOON + PREPARATION_MS);
  });

  it('an answer that Tiffin itself published is skipped', async () => {
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
    'without an order': { restaurantId: 'r1', status: 'ACCEPTED' },
    'with an invalid order id': { ...ANSWER, orderId: 'a b' },
    'with an invalid time': { ...ANSWER, estimatedReadyTime: 'soon' },
    'with a time without an offset': { ...ANSWER, acceptedAt: '2030-01-01T12:00:00' },
    'with an invalid restaurant': { ...ANSWER, restaurantId: { id: 'r1' } },
    'with a status that is no answer': { ...ANSWER, status: 'PENDING' },
    'with an action that is no answer': { ...ANSWER, action: 'COLLECTED' },
    // No text can be made of these by conversion.
    'with a status without a text': { ...ANSWER, status: { valueOf: null, toString: null } },
    'with a type without a text': { ...ANSWER, status: undefined, eventType: { toString: 1 } },
    'with a time without a text': { ...ANSWER, estimatedReadyTime: { toString: 1 } },
  };
  for (const [fault, record] of Object.entries(MALFORMED))
    it(`a record ${fault} becomes a dead letter, and the other answers take effect`, async () => {
      await open('a', 'b', 'c');
      await town.heard([{ ...ANSWER, orderId: 'b' }, record, { ...ANSWER, orderId: 'c' }]);
      assert.equal((await town.letters()).length, 1);
      assert.deepEqual(
        [await town.status('a'), await town.status('b'), await town.status('c')],
        ['CONFIRMED', 'ACCEPTED', 'ACCEPTED'],
      );
    });

  it('a late or repeated answer, or one to an unknown or another restaurant’s order, is skipped, and the others take effect', async () => {
    await open('answered', 'cancelled', 'other', 'twice', 'a');
    await town.answer('answered');
    await town.command('cancelled', { type: 'cancel' });
    const before = await town.announced();
    await town.heard([
      ...['answered', 'cancelled', 'unknown', 'a', 'twice'].map((orderId) => ({ ...ANSWER, orderId })),
      { ...ANSWER, orderId: 'other', restaurantId: 'auto' },
      { ...ANSWER, orderId: 'twice', status: 'REJECTED' },
    ]);
    assert.deepEqual(await town.letters(), []);
    assert.deepEqual((await town.announced()).slice(before.length), ['order.accepted', 'order.accepted']);
    assert.deepEqual(
      await Promise.all(['answered', 'cancelled', 'other', 'twice', 'a'].map((id) => town.status(id))),
      ['ACCEPTED', 'CANCELLED', 'CONFIRMED', 'ACCEPTED', 'ACCEPTED'],
    );
  });

  it('an answer over HTTP after an external answer is refused', async () => {
    await open('a', 'b');
    await town.heard([ANSWER, { orderId: 'b', status: 'REJECTED' }]);
    await assert.rejects(town.answer('a'), { code: 'ALREADY_ACCEPTED' });
    await assert.rejects(town.answer('b'), { code: 'ALREADY_REJECTED' });
  });

  it('one of two concurrent answers takes effect, the restaurant’s own or the external one', async () => {
    const ids = Array.from({ length: 10 }, (_, n) => `a${n}`);
    await open(...ids);
    await Promise.all([
      ...ids.map((id) => town.answer(id).catch(() => {})),
      // A consumer on Kafka has as many concurrent batches.
      ...[0, 1, 2].map((part) =>
        town.heard(ids.filter((_, n) => n % 3 === part).map((orderId) => ({ ...ANSWER, orderId }))),
      ),
    ]);
    await town.deliverAll();
    const announced = await town.announced();
    for (const type of ['order.accepted', 'rider.requested'])
      assert.equal(announced.filter((one) => one === type).length, ids.length, type);
    assert.deepEqual(await town.letters(), []);
  });

  it('an answer that arrives while the database is unreachable takes effect when it is redelivered', async () => {
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
    it(`an answer to an order that is ${status} is stored and takes effect at the confirmation`, async () => {
      await town.seed(status, ['a', 'b', 'c']);
      await town.heard([
        { ...ANSWER, estimatedReadyTime: LATER },
        { orderId: 'b', status: 'REJECTED', reason: 'NO_DOUGH' },
        { ...ANSWER, orderId: 'c' },
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
      const published = await town.announced();
      assert.equal(published.filter((type) => type === 'rider.requested').length, 1);
      assert.deepEqual(
        published.filter((type) => type.startsWith('restaurant.')),
        [],
      );
    });
});

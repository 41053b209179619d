/** What a link shows of an order on its way: the rider live, why the window of arrival changed, and what is given back. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Delivery } from '../../../internal/domain/delivery.ts';
import type { Milestone, Order } from '../../../internal/domain/order.ts';
import { afterStep, newPayment, type Payment } from '../../../internal/domain/payment.ts';
import {
  ADDRESS,
  after as afterEvents,
  createdEvent,
  JOURNEYS,
  movedTo,
  nextId,
  placedOrder,
} from '../../support/builders.ts';
import { until } from '../../support/until.ts';
import { type EveryService, startEveryService } from '../every-service.ts';
import { bearer } from '../tokens.ts';

const NOW = Date.now();
const MINUTE_MS = 60_000;
const at = (ms: number) => new Date(ms).toISOString();
const TO: Delivery = {
  ...{ orderId: 'o' as Order['id'], state: 'ASSIGNED', riderId: 'ravi', attempts: 0 },
  ...{ requestedAt: NOW, assignedAt: NOW, pickup: [18.97, 72.81], dropoff: [18.912345, 72.812345] },
  eta: {
    ...{ median: NOW + 20 * MINUTE_MS, p90: NOW + 30 * MINUTE_MS, computedAt: NOW },
    change: {
      ...{ why: 'KITCHEN_LATE', at: NOW - MINUTE_MS },
      from: { median: NOW + 10 * MINUTE_MS, p90: NOW + 15 * MINUTE_MS },
      to: { median: NOW + 20 * MINUTE_MS, p90: NOW + 30 * MINUTE_MS },
    },
  },
};

describe('a tracking link of an order on its way', () => {
  let every: EveryService;
  let rider: Record<string, string>;
  before(async () => {
    every = await startEveryService();
    rider = { ...(await bearer('ravi', 'rider')), 'content-type': 'application/json' };
    const { riders } = every.wiring;
    await riders.put({ id: 'ravi', name: 'Ravi', isOnDuty: true, capacity: 2, place: [18.97, 72.81] }, NOW);
  });
  after(() => every?.close());

  async function onItsWay(to: Milestone, payment: (fresh: Payment) => Payment = (fresh) => fresh) {
    const { wiring } = every;
    const id = nextId('way');
    const content = { id, customerId: 'asha', restaurantId: 'REST-456', deliveryAddress: ADDRESS };
    const items = [{ itemId: 'PIZZA-001', quantity: 2, unitPriceMinor: 1_250 }];
    const order = placedOrder({ content: { ...content, items }, at: NOW });
    await wiring.orders.place([{ order, event: createdEvent(order), fingerprint: 'f' }]);
    const steps = JOURNEYS.everything.slice(1, JOURNEYS.everything.indexOf(to) + 1);
    const moved = movedTo(order, ...(steps as Exclude<Milestone, 'CREATED'>[]));
    await wiring.transactions.run(async (tx) => {
      await tx.saveOrders([moved]);
      await wiring.deliveries.save(tx, [{ ...TO, orderId: order.id }]);
      await wiring.payments.save(tx, [payment(newPayment(order, NOW))]);
    });
    return moved;
  }

  const linkTo = ({ id: orderId }: Order, may: 'read' | 'change') =>
    `${every.url}/v1/tracking/${every.wiring.trackingLinks.tokenOf({ orderId, may, expiresAt: NOW + 3_600_000 })}`;
  async function seen(url: string) {
    const answer = await fetch(url);
    // biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary response bodies
    return { tag: answer.headers.get('etag') ?? '', body: (await answer.json()) as any };
  }
  async function move(lat: number, lng: number) {
    const body = JSON.stringify({ lat, lng });
    const answer = await fetch(`${every.url}/v1/riders/ravi/position`, {
      method: 'POST',
      headers: rider,
      body,
    });
    assert.equal(answer.status, 204);
  }
  async function store(order: Order, delivery: Delivery) {
    const { wiring } = every;
    await wiring.transactions.run(async (tx) => {
      await tx.saveOrders([order]);
      await wiring.deliveries.save(tx, [{ ...delivery, orderId: order.id }]);
    });
    await wiring.views.put(await wiring.viewSource.read([order.id]));
  }

  it('shows where everything is: exactly to who may change the order, roughly and without the door to others', async () => {
    const order = await onItsWay('RIDER_ASSIGNED');
    await move(18.954321, 72.834567);
    const own = await seen(linkTo(order, 'change'));
    const others = await seen(linkTo(order, 'read'));
    const { at: when, ...place } = own.body.delivery.rider;
    assert.ok(Date.parse(when) >= NOW);
    assert.deepEqual(place, { latitude: 18.954321, longitude: 72.834567 });
    assert.deepEqual(own.body.delivery.restaurant, { latitude: 18.97, longitude: 72.81 });
    assert.deepEqual(own.body.delivery.destination, { latitude: 18.912345, longitude: 72.812345 });
    assert.deepEqual(others.body.delivery, {
      restaurant: { latitude: 18.97, longitude: 72.81 },
      rider: { latitude: 18.954, longitude: 72.835, at: when },
    });
    await move(18.95, 72.83);
    assert.notEqual((await seen(linkTo(order, 'change'))).tag, own.tag, 'the tag tells that the rider moved');
  });

  it('says why the window of arrival changed, when, and what it was before', async () => {
    const { body } = await seen(linkTo(await onItsWay('RIDER_ASSIGNED'), 'read'));
    assert.deepEqual(body.arrival, {
      ...{ from: at(NOW + 20 * MINUTE_MS), to: at(NOW + 30 * MINUTE_MS), computedAt: at(NOW) },
      ...{ why: 'KITCHEN_LATE', changedAt: at(NOW - MINUTE_MS) },
      before: { from: at(NOW + 10 * MINUTE_MS), to: at(NOW + 15 * MINUTE_MS) },
    });
  });

  it('streams the rider’s moves until the delivery, and then shows the rider no more', async () => {
    const order = await onItsWay('OUT_FOR_DELIVERY');
    const url = linkTo(order, 'read');
    const stream = await fetch(`${url}/stream`);
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader() ?? assert.fail();
    let text = '';
    const read = (async () => {
      for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    })();
    const moves = () =>
      [...text.matchAll(/^event: rider\ndata: (.*)$/gm)].map(([, data = '']) => JSON.parse(data));
    // The first moves may come before the subscription is made.
    let north = 0;
    await until('a position', async () => {
      north += 1;
      await move(18.9 + north / 1_000, 72.8);
      // One from before the order had its rider may be on its way still.
      return moves().some(({ latitude, longitude }) => latitude > 18.9 && longitude === 72.8);
    });
    await store(movedTo(order, 'DELIVERED'), { ...TO, state: 'DELIVERED', deliveredAt: NOW });
    await read;
    const views = [...text.matchAll(/^event: view\ndata: (.*)$/gm)].map(([, data = '']) => JSON.parse(data));
    assert.ok(views[0]?.delivery.rider);
    assert.deepEqual(views.at(-1)?.delivery, { restaurant: { latitude: 18.97, longitude: 72.81 } });
    assert.doesNotMatch(text, /18\.912|ravi|Ravi/);
    assert.equal((await seen(url)).body.delivery.rider, undefined);
  });

  it('tells what cancelling costs, and afterwards what is given back', async () => {
    const held = (fresh: Payment) =>
      afterStep(fresh, 'authorize', { outcome: 'done', authorizationId: 'a' }, NOW);
    const order = await onItsWay('ACCEPTED', held);
    const url = linkTo(order, 'change');
    const before = (await seen(url)).body;
    assert.deepEqual(
      [before.canCancel, before.cancelCosts, before.refund],
      [true, 0, { state: 'NONE', amount: 0 }],
    );
    const cancelled = afterEvents(order, { type: 'cancelled', at: NOW });
    await store(cancelled, { ...TO, state: 'RELEASED' });
    const pending = (await seen(url)).body;
    const amount = order.total.minor / 100;
    assert.deepEqual(
      [pending.canCancel, pending.cancelCosts, pending.refund],
      [false, undefined, { state: 'PENDING', amount }],
    );
    const { transactions, payments } = every.wiring;
    await transactions.run(async (tx) => {
      const payment = held(newPayment(order, NOW));
      await payments.save(tx, [afterStep(payment, 'void', { outcome: 'done' }, NOW)]);
    });
    await store(cancelled, { ...TO, state: 'RELEASED' });
    assert.deepEqual((await seen(url)).body.refund, { state: 'DONE', amount });
  });
});

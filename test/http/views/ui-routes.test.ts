/** The routes for screens: the current view and its access, the history, and the live stream. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import type { OrderView } from '../../../internal/service/views/ports.ts';
import { jwtAuth } from '../../../internal/transport/http/auth.ts';
import { type LiveStreams, liveStreams } from '../../../internal/transport/http/routes/views/live-stream.ts';
import { type StreamDeps, streamRoute } from '../../../internal/transport/http/routes/views/stream-route.ts';
import { type UiDeps, uiRoutes } from '../../../internal/transport/http/routes/views/ui-routes.ts';
import { movedTo, orderAt, placedOrder } from '../../support/builders.ts';
import { NOON } from '../../support/manual-clock.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { until } from '../../support/until.ts';
import { type Api, startApi } from '../api.ts';
import { bearer, SECRET, tokenOf } from '../tokens.ts';

const ETA = { median: NOON + 900_000, p90: NOON + 1_200_000, computedAt: NOON };
const MOST = 5;
const MOST_EACH = 3;
const routesOf = (deps: UiDeps & StreamDeps) => [...uiRoutes(deps), streamRoute(deps)];

describe('the routes for screens', () => {
  let api: Api;
  let streams: LiveStreams;
  let headers: Record<'operator' | 'asha' | 'ben' | 'kitchen' | 'ravi', { authorization: string }>;
  const current = new Map<string, OrderView>();
  const listeners = new Map<string, Set<() => void>>();
  const open: { close(): void }[] = [];
  let afterRead = () => {};
  let contact: Record<string, unknown> = {};

  before(async () => {
    streams = liveStreams({ all: MOST, each: MOST_EACH, heartbeatMs: 500 });
    api = await startApi({
      authenticate: jwtAuth({ secret: SECRET }),
      more: routesOf({
        viewSource: {
          async read(ids) {
            const found = ids.flatMap((id) => current.get(id) ?? []);
            const then = afterRead;
            afterRead = () => {};
            then();
            return found;
          },
        },
        views: { put: async () => [], get: async () => undefined },
        log: recordingLog(),
        history: {
          append: async () => {},
          rewrite: async () => 0,
          of: async (id) =>
            ['order.created', 'eta.updated'].map((eventType, n) => ({
              eventId: `${id}-${n}`,
              eventType,
              at: NOON + n,
              producer: 'test',
              payload: { n, ...contact },
            })),
        },
        streams,
        onView(id, listener) {
          const own = listeners.get(id) ?? new Set();
          listeners.set(id, own.add(listener));
          return () => own.delete(listener);
        },
      }).filter(({ path }) => path.startsWith('/ui')),
    });
    headers = {
      operator: await bearer('olga', 'operator'),
      asha: await bearer('asha', 'customer'),
      ben: await bearer('ben', 'customer'),
      kitchen: await bearer('r1', 'restaurant'),
      ravi: await bearer('ravi', 'rider'),
    };
  });
  after(async () => {
    streams.endAll();
    await api.close();
  });
  beforeEach(async () => {
    for (const stream of open.splice(0)) stream.close();
    await until('no listeners', () => listening() === 0);
    current.clear();
    listeners.clear();
    afterRead = () => {};
    contact = {};
    show(ofAsha(orderAt('PREPARING')));
  });

  const listening = () => [...listeners.values()].reduce((sum, { size }) => sum + size, 0);
  const ofAsha = (order: Order): Order => ({ ...order, id: 'o' as OrderId, customerId: 'asha' });
  function show(order: Order, changes: Partial<OrderView> = {}): void {
    current.set(order.id, { order, revision: [order.version, 0], ...changes });
    for (const tell of listeners.get(order.id) ?? []) tell();
  }
  const ask = (path: string, who: keyof typeof headers = 'operator') =>
    api.ask('GET', path, { headers: headers[who] });

  /** Listens to the stream of order `o`; pausing the response simulates a slow client. */
  async function listen(who: keyof typeof headers = 'operator', more: Record<string, string> = {}) {
    const asked = request({
      port: api.port,
      path: '/ui/orders/o/stream',
      headers: { ...headers[who], ...more },
      agent: false,
    });
    asked.end();
    const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
      asked.on('response', resolve);
      asked.on('error', reject);
    });
    let text = '';
    let ended = false;
    response.setEncoding('utf8');
    response.on('error', () => {});
    response.on('data', (chunk: string) => {
      text += chunk;
    });
    response.on('end', () => {
      ended = true;
    });
    const stream = {
      response,
      close: () => asked.destroy(),
      ended: () => ended,
      // biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary event data
      said: (): [event: string, data: any][] =>
        [...text.matchAll(/event: (\w+)\ndata: (.*)\n\n/g)].map(([, event, data]) => [
          event as string,
          JSON.parse(data as string),
        ]),
      ids: () => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id as string),
      statuses: () => stream.said().map(([event, data]) => (event === 'view' ? data.status : event)),
    };
    open.push(stream);
    return stream;
  }

  it('an order is returned in its current state, with an ETag of its version and of what else it shows', async () => {
    show(ofAsha(orderAt('OUT_FOR_DELIVERY')), {
      delivery: { state: 'PICKED_UP', riderId: 'ravi', eta: ETA },
      payment: 'AUTHORIZED',
      reservation: 'reserved',
    });
    const { status, headers: answered, body } = await ask('/ui/orders/o');
    const { version } = current.get('o')!.order;
    assert.deepEqual([status, answered.etag], [200, `"${version}.${version}.0"`]);
    const { timeline, ...rest } = body;
    assert.deepEqual(timeline[0], { status: 'CREATED', at: '2030-01-01T12:00:00.000Z' });
    assert.deepEqual(rest, {
      orderId: 'o',
      customerId: 'asha',
      restaurantId: 'r1',
      status: 'OUT_FOR_DELIVERY',
      inventory: 'RESERVED',
      payment: 'AUTHORIZED',
      eta: {
        median: '2030-01-01T12:15:00.000Z',
        p90: '2030-01-01T12:20:00.000Z',
        computedAt: '2030-01-01T12:00:00.000Z',
      },
      rider: { riderId: 'ravi', state: 'PICKED_UP' },
      items: [{ itemId: 'sushi-set', quantity: 2, unitPrice: 9.5 }],
      totalAmount: 12.5,
      currency: 'USD',
      scheduledAt: '2030-01-01T12:01:00.000Z',
      version: timeline.length,
      updatedAt: '2030-01-01T12:00:00.000Z',
    });
  });

  it('a view that the client has is answered 304, and one with a new ETA or payment is sent', async () => {
    const order = current.get('o')!.order;
    const { headers: first } = await ask('/ui/orders/o');
    const again = (path = '/ui/orders/o') =>
      api.ask('GET', path, { headers: { ...headers.operator, 'if-none-match': String(first.etag) } });
    assert.equal((await again()).status, 304);
    assert.equal((await again('/ui/orders/o?history=true')).status, 200);
    show(order, { delivery: { state: 'ASSIGNED', eta: ETA }, revision: [order.version, NOON] });
    assert.equal((await again()).status, 200);
  });

  const failed = (reason: string) => ({ ...orderAt('FAILED', 'items'), reason }) as Order;
  const WORDS: readonly [what: string, Order, Partial<OrderView>, inventory: string, payment: string][] = [
    ['an order without items', placedOrder(), {}, 'NONE', 'NONE'],
    ['an order that waits for stock and payment', orderAt('PROCESSING', 'items'), {}, 'PENDING', 'PENDING'],
    ['an order that is out of stock', failed('OUT_OF_STOCK'), {}, 'REJECTED', 'NONE'],
    ['an order that was cancelled before its reservation', orderAt('CANCELLED', 'items'), {}, 'NONE', 'NONE'],
    [
      'an order whose card was declined',
      failed('PAYMENT_DECLINED'),
      { reservation: 'released', payment: 'FAILED' },
      ...(['RELEASED', 'FAILED'] as const),
    ],
    [
      'an order that was released and refunded',
      orderAt('CANCELLED', 'items'),
      { reservation: 'released', payment: 'REFUNDED' },
      ...(['RELEASED', 'REFUNDED'] as const),
    ],
  ];
  for (const [what, order, changes, inventory, payment] of WORDS)
    it(`the view of ${what} shows its inventory and payment status`, async () => {
      show(ofAsha(order), changes);
      const { body } = await ask('/ui/orders/o');
      assert.deepEqual([body.inventory, body.payment], [inventory, payment]);
    });

  it('every route for screens shows an order only to its own customer, restaurant and rider', async () => {
    show(ofAsha(orderAt('RIDER_ASSIGNED')), { delivery: { state: 'ASSIGNED', riderId: 'ravi' } });
    for (const path of ['/ui/orders/o', '/ui/orders/o/history', '/ui/orders/o/stream']) {
      const { status, body } = await ask(path, 'ben');
      assert.deepEqual([status, body.errors[0].code], [404, 'ORDER_NOT_FOUND'], path);
      assert.equal((await ask(path.replace('/o', '/nobody'))).status, 404, path);
    }
    for (const who of ['asha', 'kitchen', 'ravi'] as const) {
      assert.equal((await ask('/ui/orders/o', who)).status, 200, who);
      assert.equal((await listen(who)).response.statusCode, 200, who);
    }
  });

  it('the history is returned alone or with the view, and an invalid history parameter is refused', async () => {
    const history = ['order.created', 'eta.updated'].map((eventType, n) => ({
      eventId: `o-${n}`,
      eventType,
      producer: 'test',
      payload: { n },
      at: `2030-01-01T12:00:00.00${n}Z`,
    }));
    assert.deepEqual((await ask('/ui/orders/o/history')).body, { orderId: 'o', history });
    const { body } = await ask('/ui/orders/o?history=true');
    assert.deepEqual([body.orderId, body.history], ['o', history]);
    assert.equal((await ask('/ui/orders/o?history=false')).body.history, undefined);
    assert.equal((await ask('/ui/orders/o?history=maybe')).status, 400);
  });

  it('once an order has ended, its restaurant and its rider no longer see how to reach the customer', async () => {
    contact = { to: '+1 555 0100', deliveryAddress: { street: 'Elm Street 1' } };
    const delivery = { state: 'PICKED_UP', riderId: 'ravi' } as const;
    const seenBy = async (who: keyof typeof headers, path = '/ui/orders/o/history') => {
      const { body } = await ask(path, who);
      const payloads: object[] = body.history.map(({ payload }: { payload: object }) => payload);
      assert.equal(payloads.length, 2);
      return payloads.every((payload) => 'to' in payload && 'deliveryAddress' in payload);
    };
    show(ofAsha(orderAt('OUT_FOR_DELIVERY')), { delivery });
    for (const who of ['asha', 'kitchen', 'ravi', 'operator'] as const) assert.ok(await seenBy(who), who);
    for (const status of ['DELIVERED', 'CANCELLED'] as const) {
      show(ofAsha(orderAt(status)), { delivery });
      for (const path of ['/ui/orders/o/history', '/ui/orders/o?history=true']) {
        for (const who of ['asha', 'operator'] as const) assert.ok(await seenBy(who, path), who);
        for (const who of ['kitchen', 'ravi'] as const) {
          assert.equal(await seenBy(who, path), false, who);
          assert.doesNotMatch((await ask(path, who)).text, /555 0100|Elm Street/);
        }
      }
    }
  });

  it('the stream sends the current view, each change and an end event', async () => {
    const stream = await listen();
    assert.match(stream.response.headers['content-type'] ?? '', /^text\/event-stream/);
    await until('the first view', () => stream.said().length === 1);
    const order = current.get('o')!.order;
    show(movedTo(order, 'RIDER_ASSIGNED'));
    await until('the rider', () => stream.statuses().includes('ASSIGNED'));
    show(movedTo(order, 'RIDER_ASSIGNED'), { revision: [order.version + 1, NOON] });
    await until('the ETA', () => stream.said().length === 3);
    show(movedTo(order, 'RIDER_ASSIGNED', 'OUT_FOR_DELIVERY', 'DELIVERED'));
    await until('the end', () => stream.ended());
    assert.deepEqual(stream.statuses(), ['CONFIRMED', 'ASSIGNED', 'ASSIGNED', 'DELIVERED', 'end']);
    await until('no listener', () => listening() === 0);
  });

  it('the stream sends no view twice, and none older than the last one sent', async () => {
    const stream = await listen();
    const order = current.get('o')!.order;
    show(movedTo(order, 'RIDER_ASSIGNED'));
    await until('the change', () => stream.said().length === 2);
    show(movedTo(order, 'RIDER_ASSIGNED'));
    show(order);
    show(movedTo(order, 'RIDER_ASSIGNED', 'OUT_FOR_DELIVERY'));
    await until('the next change', () => stream.statuses().includes('OUT_FOR_DELIVERY'));
    assert.deepEqual(stream.statuses(), ['CONFIRMED', 'ASSIGNED', 'OUT_FOR_DELIVERY']);
  });

  it('the stream of a finished order ends at once, and sends no view after its end event', async () => {
    const order = ofAsha(orderAt('DELIVERED'));
    show(order, { payment: 'AUTHORIZED' });
    // The payment is captured while the last events are being sent.
    afterRead = () => show(order, { payment: 'CAPTURED', revision: [order.version + 1, 0] });
    const stream = await listen();
    await until('the end', () => stream.ended());
    assert.deepEqual(stream.statuses(), ['DELIVERED', 'end']);
  });

  it('a client that connects again after the end gets the views that it missed, and then a 204', async () => {
    const order = ofAsha(orderAt('DELIVERED'));
    show(order, { payment: 'AUTHORIZED' });
    const stream = await listen();
    await until('the end', () => stream.ended());
    const [last] = stream.ids().slice(-1);
    const again = (id: string) =>
      api.ask('GET', '/ui/orders/o/stream', { headers: { ...headers.operator, 'last-event-id': id } });
    const { status, text } = await again(last!);
    assert.deepEqual([status, text, listening()], [204, '', 0]);
    show(order, { payment: 'CAPTURED', revision: [order.version + 1, 0] });
    const missed = await again(last!);
    assert.match(missed.text, /^id: (.+)\nevent: view\n.*CAPTURED/s);
    assert.equal((await again(/^id: (.+)/.exec(missed.text)![1]!)).status, 204);
    for (const strange of ['', '7', 'x-y', '1-2-3'])
      assert.equal((await again(strange)).status, 200, strange);
  });

  it('a client that connects again to an order that goes on gets its current view', async () => {
    const stream = await listen();
    await until('the first view', () => stream.said().length === 1);
    const again = await listen('operator', { 'last-event-id': stream.ids()[0]! });
    await until('the view', () => again.statuses().length === 1);
    assert.equal(again.response.statusCode, 200);
  });

  it('the stream removes its listener after its client disconnects', async () => {
    const stream = await listen();
    await until('one listener', () => listening() === 1);
    stream.close();
    await until('no listener', () => listening() === 0);
    show(movedTo(current.get('o')!.order, 'RIDER_ASSIGNED'));
    assert.equal((await ask('/ui/orders/o')).status, 200);
  });

  it('the stream drops a client that does not read', async () => {
    const stream = await listen();
    stream.response.pause();
    const order = current.get('o')!.order;
    const items = Array.from({ length: 2_000 }, (_, n) => ({ itemId: `item-${n}`, quantity: 1 }));
    for (let n = 1; n <= 200 && listening() > 0; n++) {
      show({ ...order, items }, { revision: [order.version + n, 0] });
      await pause(1);
    }
    await until('no listener', () => listening() === 0);
  });

  it('a stream beyond the limit is refused, and accepted once another stream has ended', async () => {
    const users = ['operator', 'operator', 'asha', 'asha', 'kitchen'] as const;
    const [first] = await Promise.all(users.map((who) => listen(who)));
    const refused = await ask('/ui/orders/o/stream');
    assert.deepEqual([refused.status, refused.body.errors[0].code], [503, 'OVERLOADED']);
    assert.ok(refused.headers['retry-after']);
    first?.close();
    await until('room for one more', async () => (await listen()).response.statusCode === 200);
  });

  it('a principal has a limit of its own, and cannot keep others from their streams', async () => {
    const own = await Promise.all(Array.from({ length: MOST_EACH }, () => listen('asha')));
    const { status, body, headers: answered } = await ask('/ui/orders/o/stream', 'asha');
    assert.deepEqual([status, body.errors[0].code], [429, 'TOO_MANY_STREAMS']);
    assert.ok(answered['retry-after']);
    assert.equal((await listen('kitchen')).response.statusCode, 200);
    own[0]?.close();
    await until('room for one more', async () => (await listen('asha')).response.statusCode === 200);
  });

  it('a stream ends when its token expires', async () => {
    const exp = Math.floor(Date.now() / 1_000);
    const token = await tokenOf({ sub: 'asha', roles: ['customer'], exp });
    const stream = await listen('asha', { authorization: `Bearer ${token}` });
    assert.equal(stream.response.statusCode, 200, 'within the tolerance for clocks');
    await until('its end', () => stream.ended(), 20_000);
    assert.deepEqual(stream.statuses(), ['CONFIRMED'], 'without an end event, since the order goes on');
    await until('no listener', () => listening() === 0);
    const again = await api.ask('GET', '/ui/orders/o/stream', {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(again.status, 401);
  });

  it('every stream ends when the process stops', async () => {
    const both = await Promise.all([listen(), listen()]);
    streams.endAll();
    for (const stream of both) await until('its end', () => stream.ended());
    await until('no listener', () => listening() === 0);
  });
});

/** Following an order by a link: what its holder sees and may do, and what is no link. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import { trackingLinks } from '../../../internal/transport/http/tracking-links.ts';
import { ADDRESS, createdEvent, movedTo, nextId, placedOrder } from '../../support/builders.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { type EveryService, startEveryService } from '../every-service.ts';
import { bearer } from '../tokens.ts';

const NOW = Date.now();
const HOUR_MS = 3_600_000;
const json = { 'content-type': 'application/json' };

describe('a tracking link', () => {
  let every: EveryService;
  let asha: Record<string, string>;
  before(async () => {
    every = await startEveryService();
    asha = await bearer('asha', 'customer');
  });
  after(() => every?.close());

  async function placed(): Promise<Order> {
    const content = {
      ...{ id: nextId('tracked'), customerId: 'asha', customerName: 'Asha Rao', restaurantId: 'REST-456' },
      ...{ deliveryAddress: ADDRESS, contact: { phone: '+911234' }, specialInstructions: 'ring Asha' },
      ...{
        paymentToken: 'tok_approve',
        items: [{ itemId: 'PIZZA-001', quantity: 2, unitPriceMinor: 1_250 }],
      },
    };
    const order = placedOrder({ content, at: NOW, scheduledAt: NOW + HOUR_MS });
    await every.wiring.orders.place([{ order, event: createdEvent(order), fingerprint: 'f' }]);
    return order;
  }

  async function linkTo(id: OrderId, body?: object) {
    const answer = await fetch(`${every.url}/v1/orders/${id}/tracking-links`, {
      ...{ method: 'POST', headers: { ...asha, ...json } },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const link = (await answer.json()) as { token: string; may: string; expiresAt: string };
    assert.equal(answer.status, 201, JSON.stringify(link));
    return { ...link, url: `${every.url}/v1/tracking/${link.token}` };
  }

  async function errorOf(answer: Response): Promise<[number, string]> {
    const { errors } = (await answer.json()) as { errors: { code: string }[] };
    return [answer.status, errors[0]?.code ?? ''];
  }

  it('shows its order, and nothing that tells who ordered it and where they live', async () => {
    const { id } = await placed();
    const link = await linkTo(id);
    const answer = await fetch(link.url);
    const text = await answer.text();
    const { orderId, status, steps, items, arrival, canCancel, link: held } = JSON.parse(text);
    assert.deepEqual(
      { status: answer.status, orderId, order: status, arrival, canCancel, held },
      {
        status: 200,
        orderId: id,
        order: 'CREATED',
        arrival: null,
        canCancel: true,
        held: { may: 'read', expiresAt: link.expiresAt },
      },
    );
    assert.deepEqual(items, [{ itemId: 'PIZZA-001', quantity: 2 }]);
    assert.equal(steps.at(-1), 'DELIVERED');
    assert.doesNotMatch(text, /asha|Rao|9112|Churchgate|tok_|ring Asha/i);
    const etag = answer.headers.get('etag') ?? '';
    assert.equal(
      (await fetch(link.url, { headers: { 'if-none-match': etag, 'cache-control': 'max-age=0' } })).status,
      304,
    );
  });

  it('lasts for 30 days, or for as long as it was asked to, within a minute and a year', async () => {
    const { id } = await placed();
    const lasts = ({ expiresAt }: { expiresAt: string }) =>
      Math.round((Date.parse(expiresAt) - Date.now()) / 60_000);
    assert.equal(lasts(await linkTo(id)), 30 * 24 * 60);
    assert.equal(lasts(await linkTo(id, { lastsS: 7_200 })), 120);
    for (const lastsS of [59, 31_536_001, 1.5, '60']) {
      const answer = await fetch(`${every.url}/v1/orders/${id}/tracking-links`, {
        ...{ method: 'POST', headers: { ...asha, ...json }, body: JSON.stringify({ lastsS, may: 'all' }) },
      });
      const { errors } = (await answer.json()) as { errors: { pointer: string }[] };
      assert.equal(answer.status, 400);
      assert.deepEqual(
        errors.map(({ pointer }) => pointer),
        ['/may', '/lastsS'],
      );
    }
  });

  it('for reading changes nothing; one for changing cancels once, and reschedules', async () => {
    const order = await placed();
    const { id } = order;
    const scheduledAt = new Date(NOW + 2 * HOUR_MS).toISOString();
    const [reading, changing] = [await linkTo(id), await linkTo(id, { may: 'change' })];
    const post = (url: string, headers: Record<string, string> = {}) =>
      fetch(`${url}/cancel`, { method: 'POST', headers });
    const patch = (url: string, headers: Record<string, string> = {}) =>
      fetch(`${url}/schedule`, {
        method: 'PATCH',
        headers: { ...json, ...headers },
        body: JSON.stringify({ scheduledAt }),
      });
    assert.deepEqual(await errorOf(await post(reading.url)), [403, 'LINK_READS_ONLY']);
    assert.deepEqual(await errorOf(await patch(reading.url)), [403, 'LINK_READS_ONLY']);
    assert.deepEqual(await errorOf(await patch(changing.url, { 'if-match': '"9"' })), [
      412,
      'VERSION_MISMATCH',
    ]);
    assert.deepEqual(await (await patch(changing.url)).json(), {
      orderId: id,
      status: 'CREATED',
      scheduledAt,
      version: 2,
    });
    const key = { 'idempotency-key': 'once' };
    const [first, again] = [await post(changing.url, key), await post(changing.url, key)];
    assert.deepEqual([first.status, again.status], [200, 200]);
    assert.equal(again.headers.get('idempotency-replayed'), 'true');
    assert.deepEqual(await first.json(), { orderId: id, status: 'CANCELLED', scheduledAt, version: 3 });
    assert.deepEqual(await errorOf(await patch(changing.url)), [409, 'ILLEGAL_TRANSITION']);
  });

  it('streams its order until the end, and is then not to be reconnected to', async () => {
    const order = await placed();
    const link = await linkTo(order.id);
    const stream = await fetch(`${link.url}/stream`);
    const ended = movedTo(
      order,
      'PROCESSING',
      'CONFIRMED',
      'ACCEPTED',
      'PREPARING',
      'RIDER_ASSIGNED',
      'OUT_FOR_DELIVERY',
      'DELIVERED',
    );
    await every.wiring.transactions.run((tx) => tx.saveOrders([ended]));
    await every.wiring.views.put(await every.wiring.viewSource.read([order.id]));
    const text = await stream.text();
    const views = [...text.matchAll(/^data: (\{"orderId.*)$/gm)].map(([, data = '']) => JSON.parse(data));
    assert.deepEqual([views[0]?.status, views.at(-1)?.status], ['CREATED', 'DELIVERED']);
    assert.match(text, /event: end\n/);
    assert.doesNotMatch(text, /asha|Rao|Churchgate/i);
    const last = [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? '';
    const again = await fetch(`${link.url}/stream`, { headers: { 'last-event-id': last } });
    assert.equal(again.status, 204);
  });

  it('for an order that is no longer stored is answered as such', async () => {
    const token = every.wiring.trackingLinks.tokenOf({
      orderId: 'gone' as OrderId,
      may: 'read',
      expiresAt: NOW + HOUR_MS,
    });
    assert.deepEqual(await errorOf(await fetch(`${every.url}/v1/tracking/${token}`)), [
      404,
      'ORDER_NOT_FOUND',
    ]);
  });

  it('is never written to the log', async () => {
    const link = await linkTo((await placed()).id);
    await every.wiring.transactions.run(async () => {});
    const { get } = every.wiring.views;
    Object.assign(every.wiring.views, { get: async () => Promise.reject(new Error('a defect')) });
    const answer = await fetch(link.url);
    Object.assign(every.wiring.views, { get });
    assert.equal(answer.status, 500);
    assert.doesNotMatch(JSON.stringify(every.log.lines), new RegExp(link.token.slice(-22)));
  });
});

describe('the token of a link', () => {
  const clock = manualClock();
  const links = trackingLinks('a secret', clock);
  const link = { orderId: 'order.1-a_B' as OrderId, may: 'change', expiresAt: NOON + HOUR_MS } as const;
  const token = links.tokenOf(link);

  it('says what it was made for, and needs no escaping', () => {
    assert.deepEqual(links.read(token), link);
    assert.equal(encodeURIComponent(token), token);
    const longest = links.tokenOf({ ...link, orderId: 'x'.repeat(64) as OrderId });
    assert.equal(longest.length, 96);
  });

  it('is refused if any character of it is another, missing or added, and with another secret', () => {
    const changed = [...token].flatMap((one, at) => [
      token.slice(0, at) + (one === 'A' ? 'B' : 'A') + token.slice(at + 1),
      token.slice(0, at) + token.slice(at + 1),
      `${token.slice(0, at)}a${token.slice(at)}`,
    ]);
    for (const text of [...changed, '', '~', `${token}~`, `${token}\n`, token.toUpperCase()])
      assert.throws(() => links.read(text), { code: 'UNKNOWN_LINK' }, text);
    assert.throws(() => trackingLinks('another', clock).read(token), { code: 'UNKNOWN_LINK' });
  });

  it('is refused from its expiry on', () => {
    clock.advance(HOUR_MS - 1);
    assert.equal(links.read(token).orderId, link.orderId);
    clock.advance(1);
    assert.throws(() => links.read(token), { code: 'LINK_EXPIRED' });
  });
});

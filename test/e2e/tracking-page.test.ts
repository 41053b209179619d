/** The page of a tracking link in a real browser: an order followed to the door, the connection lost, changes, and refusals. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import type { Page } from 'playwright-core';
import { axeFinds, whyNoBrowser } from '../support/browser.ts';
import { ADDRESS } from '../support/builders.ts';
import { type Pages, startPages } from '../support/opened-pages.ts';
import { request } from '../support/program.ts';
import { proxyTo } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const KITCHEN = { lat: 19.076, lng: 72.8777 };
const IN_TWO_HOURS = () => new Date(Date.now() + 7_200_000).toISOString();

describe('the page of a tracking link', { skip: whyNoBrowser(), timeout: 280_000 }, () => {
  let pages: Pages;
  let restaurantId: string;
  let itemId: string;

  before(async () => {
    pages = await startPages();
    const kitchen = { name: 'Spice Route', acceptance: 'manual', address: '1 Hill Road', location: KITCHEN };
    restaurantId = (await pages.send('POST', '/api/v1/inventory/add/restaurant', kitchen)).id;
    const thali = { name: 'Vegetable thali', price: 8.5, initial_qty: 90 };
    itemId = (await pages.send('POST', `/api/v1/inventory/add/${restaurantId}/item`, thali)).id;
    const rider = { name: 'Ravi', location: { lat: 19.07, lng: 72.87 }, capacity: 9 };
    await pages.send('PUT', '/v1/riders/ravi', rider);
  });
  after(() => pages?.close());

  const order = async (more: object = {}): Promise<string> => {
    const items = [{ itemId, quantity: 2 }];
    const body = { restaurantId, customerId: 'asha', items, deliveryAddress: ADDRESS, ...more };
    return (await pages.send('POST', '/v1/orders', { ...body, payment: { token: 'tok_approve' } })).orderId;
  };
  const linkTo = async (id: string, link: object): Promise<string> =>
    `/track/${(await pages.send('POST', `/v1/orders/${id}/tracking-links`, link)).token}`;
  const kitchen = (id: string, body: object) =>
    pages.send('POST', `/v1/restaurants/${restaurantId}/orders/${id}`, body);
  const rider = (id: string, status: string) =>
    pages.send('PATCH', `/v1/riders/ravi/orders/${id}`, { status, timestamp: new Date().toISOString() });
  const is = (id: string, status: string) =>
    until(`${id} to be ${status}`, async () => {
      const { body } = await request('GET', `${pages.program.url}/v1/orders/${id}`);
      return body.timeline.some((entry: { status: string }) => entry.status === status);
    });
  const heading = (page: Page, text: string) => page.getByRole('heading', { level: 1, name: text }).waitFor();

  it('follows an order that was placed by the form to the door, without loading the page again', async () => {
    const opened = await pages.open('/', { width: 390 });
    const { page, shoot } = opened;
    await pages.inEachLook('/', 'home', async (form) => {
      await form.page.getByLabel('Spice Route').check();
      await form.page.getByText('Vegetable thali').waitFor();
    });
    await page.getByLabel('Spice Route').check();
    for (const _ of [1, 2]) await page.getByRole('button', { name: 'One more Vegetable thali' }).click();
    const quote = page.getByRole('status', { name: 'What you pay' });
    await quote.getByText('$17.00').waitFor();
    const quoted = await quote.locator('.total strong').textContent();
    const address = { Street: '9 Sea View', City: 'Mumbai', State: 'MH', 'Zip code': '400020' };
    for (const [name, value] of Object.entries(address))
      await page.getByLabel(name, { exact: true }).fill(value);
    await page.getByRole('button', { name: 'Place the order' }).click();
    await page.waitForURL(/\/track\//);
    await page.getByText('Vegetable thali').waitFor();
    await page.evaluate('loadedOnce = true');
    const id = await orderOn(page);
    await is(id, 'PLACED');
    assert.equal(await page.locator('.total strong').textContent(), quoted, 'what was quoted is charged');
    await heading(page, 'Your order is confirmed');
    await kitchen(id, { action: 'ACCEPT' });
    await heading(page, 'A rider is picking up your order');
    await page.getByText(/Arrives in/).waitFor();
    await inEachLook(page.url(), 'track-assigned', 'A rider is picking up your order');
    await page.getByRole('img', { name: /the rider is .* from the restaurant/ }).waitFor();
    await putDoor(id, [19.06, 72.862]);
    await rider(id, 'PICKED_UP');
    await heading(page, 'Your order is on its way');
    for (const [lat, lng] of [
      [19.074, 72.874],
      [19.07, 72.873],
      [19.066, 72.868],
    ]) {
      const before = await page.locator('.rider').getAttribute('style');
      await pages.send('POST', '/v1/riders/ravi/position', { lat, lng });
      await until(
        'the rider to move on the map',
        async () => (await page.locator('.rider').getAttribute('style')) !== before,
      );
    }
    await page.getByText(/The rider is \d+ m from you/).waitFor();
    await shoot('track-map');
    await inEachLook(page.url(), 'track-on-its-way', 'Your order is on its way');
    await rider(id, 'DELIVERED');
    await heading(page, 'Delivered. Enjoy!');
    await inEachLook(page.url(), 'track-delivered', 'Delivered. Enjoy!');
    assert.equal(await page.evaluate('loadedOnce'), true);
    assert.deepEqual(opened.faults, []);

    await page.getByRole('link', { name: 'Order again' }).click();
    await page.waitForURL(/#restaurant=/);
    await page.getByRole('status').getByText('$17.00').waitFor();
    assert.equal(await page.getByLabel('Spice Route').isChecked(), true);
    await shoot('home-again');
  });

  /** Tiffin looks up no addresses, so the place of the door is put where a system that does would put it. */
  async function putDoor(id: string, place: readonly number[]): Promise<void> {
    const client = new pg.Client({ connectionString: pages.databaseUrl });
    await client.connect();
    await client.query('UPDATE deliveries SET dropoff = $1 WHERE order_id = $2', [JSON.stringify(place), id]);
    await client.end();
  }

  /** The id of the order of the page's link, as only the server tells it. */
  async function orderOn(page: Page): Promise<string> {
    const token = page.url().split('/').at(-1);
    return (await request('GET', `${pages.program.url}/v1/tracking/${token}`)).body.orderId;
  }

  const inEachLook = (url: string, name: string, title: string) =>
    pages.inEachLook(url, name, async (opened) => {
      await heading(opened.page, title);
      await opened.page.getByRole('button', { name: 'Send this link' }).waitFor();
    });

  it('says that the connection is lost, and catches up', async () => {
    const id = await order();
    await is(id, 'PLACED');
    const proxy = await proxyTo(pages.program.url);
    try {
      const { page, shoot } = await pages.open(`${proxy.url.replace(/\/$/, '')}${await linkTo(id, {})}`, {
        width: 390,
      });
      await heading(page, 'Your order is confirmed');
      await proxy.cut();
      await page.getByText('Connection lost').waitFor();
      await shoot('track-lost');
      await kitchen(id, { action: 'ACCEPT' });
      await is(id, 'RIDER_ASSIGNED');
      await rider(id, 'PICKED_UP');
      await proxy.restore();
      await heading(page, 'Your order is on its way');
      await page.getByText('Connection lost').waitFor({ state: 'detached' });
      const steps = await page.locator('.steps li.done').allTextContents();
      assert.ok(
        steps.some((text) => text.startsWith('Rider assigned')),
        `${steps}`,
      );
      await page.context().close();
    } finally {
      await proxy.close();
    }
  });

  it('counts down to the kitchen, moves the order to another time, and cancels it, by keyboard alone', async () => {
    const id = await order({ scheduledAt: IN_TWO_HOURS() });
    const path = await linkTo(id, { may: 'change' });
    const opened = await pages.open(path, { width: 390 });
    const { page, shoot } = opened;
    await heading(page, 'Your order is scheduled');
    await page
      .getByRole('timer')
      .getByText(/^1 h 59 min$/)
      .waitFor();
    await inEachLook(page.url(), 'track-scheduled', 'Your order is scheduled');

    const dialog = page.getByRole('dialog');
    await page.getByRole('button', { name: 'Change the time' }).press('Enter');
    await page.getByLabel('New time').fill('2099-01-01T10:00');
    await shoot('track-time');
    await dialog.getByRole('button', { name: 'Change the time' }).press('Enter');
    await dialog.getByRole('alert').getByText(/\w/).waitFor();
    const inFiveHours = `new Date(Date.now() + 18000000 - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 16)`;
    await page.getByLabel('New time').fill((await page.evaluate(inFiveHours)) as string);
    await dialog.getByRole('button', { name: 'Change the time' }).press('Enter');
    await page
      .getByRole('timer')
      .getByText(/^4 h 5\d min$/)
      .waitFor();

    await page.getByRole('button', { name: 'Cancel the order' }).press('Enter');
    await dialog.getByText(/It costs nothing/).waitFor();
    await shoot('track-cancel');
    await dialog.getByRole('button', { name: 'Keep the order' }).press('Enter');
    await page.getByRole('button', { name: 'Cancel the order' }).press('Enter');
    await dialog.getByRole('button', { name: 'Cancel the order' }).press('Enter');
    await heading(page, 'Your order is cancelled');
    await is(id, 'CANCELLED');
    await inEachLook(page.url(), 'track-cancelled', 'Your order is cancelled');
    assert.deepEqual(opened.faults, []);
  });

  it('shows the holder of a link for reading no way to change the order', async () => {
    const id = await order({ scheduledAt: IN_TWO_HOURS() });
    const { page } = await pages.open(await linkTo(id, {}));
    await heading(page, 'Your order is scheduled');
    await page.waitForLoadState('networkidle').catch(() => {});
    assert.deepEqual(await page.getByRole('button').allTextContents(), []);
  });

  it('says in one sentence that a link is unknown or has expired', async () => {
    const { page, shoot } = await pages.open('/track/forged', { width: 390 });
    await heading(page, 'There is no such link');
    assert.deepEqual(await axeFinds(page), []);
    await page.route('**/v1/tracking/**', (route) =>
      route.fulfill({
        status: 410,
        json: { errors: [{ status: '410', code: 'LINK_EXPIRED', detail: 'this link has expired' }] },
      }),
    );
    await page.reload();
    await heading(page, 'This link has expired');
    await shoot('track-expired');
  });

  it('works in a frame of another site, where the page `/` is not shown', async () => {
    const path = await linkTo(await order(), {});
    const site = createServer((_, answer) => {
      answer.setHeader('Content-Type', 'text/html');
      answer.end(
        `<iframe src="${pages.program.url}${path}"></iframe><iframe src="${pages.program.url}/"></iframe>`,
      );
    }).listen(0, '127.0.0.1');
    await once(site, 'listening');
    try {
      const { port } = site.address() as AddressInfo;
      const { page } = await pages.open(`http://localhost:${port}/`);
      const [framed, refused] = [page.frameLocator('iframe').first(), page.frameLocator('iframe').nth(1)];
      await framed.getByRole('heading', { level: 1 }).waitFor();
      assert.equal(await refused.getByText('New order').count(), 0);
    } finally {
      site.closeAllConnections();
      site.close();
    }
  });
});

/** The pages of those who work: one order is carried from the form to the door by the pages alone, each in a tab of its own. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Page } from 'playwright-core';
import { whyNoBrowser } from '../support/browser.ts';
import { ADDRESS } from '../support/builders.ts';
import { type Pages, startPages } from '../support/opened-pages.ts';
import { request } from '../support/program.ts';
import { proxyTo } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const KITCHEN = { lat: 19.076, lng: 72.8777 };

describe('the pages of a kitchen and of a rider', { skip: whyNoBrowser(), timeout: 280_000 }, () => {
  let pages: Pages;

  before(async () => {
    pages = await startPages();
  });
  after(() => pages?.close());

  /** A restaurant of its own for each test, with one dish. */
  async function openKitchen(name: string): Promise<{ id: string; itemId: string }> {
    const kitchen = { name, acceptance: 'manual', address: '1 Hill Road', location: KITCHEN };
    const { id } = await pages.send('POST', '/api/v1/inventory/add/restaurant', kitchen);
    const dish = { name: 'Vegetable thali', price: 8.5, initial_qty: 90 };
    const item = await pages.send('POST', `/api/v1/inventory/add/${id}/item`, dish);
    return { id, itemId: item.id };
  }
  async function order({ id, itemId }: { id: string; itemId: string }, more: object = {}): Promise<string> {
    const items = [{ itemId, quantity: 2 }];
    const body = { restaurantId: id, customerId: 'asha', items, deliveryAddress: ADDRESS, ...more };
    return (await pages.send('POST', '/v1/orders', { ...body, payment: { token: 'tok_approve' } })).orderId;
  }
  const statusesOf = async (id: string): Promise<string[]> =>
    (await request('GET', `${pages.program.url}/v1/orders/${id}`)).body.timeline.map(
      ({ status }: { status: string }) => status,
    );
  const is = (id: string, status: string) =>
    until(`${id} to be ${status}`, async () => (await statusesOf(id)).includes(status));
  const lane = (page: Page, name: string) => page.getByRole('region', { name: new RegExp(`^${name}`) });
  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
  const inEachLook = (path: string, name: string, text: string) =>
    pages.inEachLook(path, name, ({ page }) => page.getByText(text).first().waitFor());

  it('an order goes from the form to the door by four pages, and none of them is loaded again', async () => {
    const { id: restaurantId } = await openKitchen('Corner House');
    const customer = await pages.open('/', { width: 390 });
    const kitchen = await pages.open(`/kitchen/${restaurantId}`, { width: 390 });
    const rider = await pages.open('/rider', { width: 390 });
    const tabs = [customer, kitchen, rider].map(({ page }) => page);

    await inEachLook('/rider', 'riders', 'Who rides?');
    await rider.page.getByLabel('Your name').fill('Ravi Kumar');
    await button(rider.page, 'Go on duty').click();
    await rider.page.waitForURL(/\/rider\/ravi-kumar$/);
    await rider.page.getByText('You are given the next order near you').waitFor();
    await inEachLook('/rider/ravi-kumar', 'rider-empty', 'No orders right now');
    await button(rider.page, 'Go off duty').click();
    await rider.page.getByText('Go on duty to be given orders.').waitFor();
    await button(rider.page, 'Go on duty').click();
    await rider.page.getByText('You are given the next order near you').waitFor();

    await customer.page.getByLabel('Corner House').check();
    await button(customer.page, 'One more Vegetable thali').click();
    const address = { Street: '9 Sea View', City: 'Mumbai', State: 'MH', 'Zip code': '400020' };
    for (const [name, value] of Object.entries(address))
      await customer.page.getByLabel(name, { exact: true }).fill(value);
    await button(customer.page, 'Place the order').click();
    await customer.page.waitForURL(/\/track\//);
    for (const page of tabs) await page.evaluate('loadedOnce = true');

    const heading = (text: string) => customer.page.getByRole('heading', { level: 1, name: text }).waitFor();
    await button(kitchen.page, 'Accept').click();
    await heading('A rider is picking up your order');
    await button(kitchen.page, 'Ready').click();
    await lane(kitchen.page, 'Ready').getByText('A rider is on the way to you.').waitFor();
    await rider.page.getByText('The food is ready.').waitFor();
    await rider.page.getByText('9 Sea View').waitFor();
    await inEachLook('/rider/ravi-kumar', 'rider-assigned', '9 Sea View');

    await rider.page.getByLabel('Simulated ride').check();
    await customer.page.getByRole('img', { name: /the rider is .* from the restaurant/ }).waitFor();
    await button(rider.page, 'Picked up').click();
    await heading('Your order is on its way');
    await kitchen.page.getByText('No orders right now').waitFor();
    await inEachLook('/rider/ravi-kumar', 'rider-picked-up', '9 Sea View');
    await button(rider.page, 'Delivered').click();
    await heading('Delivered. Enjoy!');
    await rider.page.getByText('No orders right now').waitFor();
    for (const page of tabs) assert.equal(await page.evaluate('loadedOnce'), true);
    assert.deepEqual(
      [customer, kitchen, rider].flatMap(({ faults }) => faults),
      [],
    );
  });

  it('a rider reports the place of its device, and is told when the browser does not allow it', async () => {
    await pages.send('PUT', '/v1/riders/geo', { name: 'Geo' });
    const { page } = await pages.open('/rider/geo', { width: 390 });
    await page.getByLabel('From this device').check();
    await page.getByText('The browser is not allowed to tell where it is').waitFor();
    await page.context().grantPermissions(['geolocation']);
    await page.context().setGeolocation({ latitude: 19.05, longitude: 72.85 });
    await page.getByLabel('Not shown').check();
    const stored = page.waitForResponse((answer) => answer.url().endsWith('/riders/geo/position'));
    await page.getByLabel('From this device').check();
    assert.equal((await stored).status(), 204);
    const { location } = await pages.send('PUT', '/v1/riders/geo', { name: 'Geo' });
    assert.deepEqual(location, { lat: 19.05, lng: 72.85 });
  });

  it('a rider that does not exist is told so', async () => {
    await inEachLook('/rider/nobody', 'rider-unknown', 'This rider cannot be shown');
  });

  it('a kitchen finds itself in the list, sees its orders come, and accepts, rejects and finishes them', async () => {
    const kitchen = await openKitchen('Spice Route');
    const opened = await pages.open('/kitchen', { width: 390 });
    const { page } = opened;
    await inEachLook('/kitchen', 'kitchens', 'Spice Route');
    await page.getByRole('link', { name: 'Spice Route' }).click();
    await page.getByText('No orders right now').waitFor();
    await inEachLook(`/kitchen/${kitchen.id}`, 'kitchen-empty', 'No orders right now');
    await page.evaluate('loadedOnce = true');

    const line = { menu_item_id: kitchen.itemId, quantity: 2 };
    const first = (await pages.send('POST', '/api/v1/orders', { restaurant_id: kitchen.id, items: [line] }))
      .order_id;
    await lane(page, 'New').getByText('Vegetable thali').waitFor();
    await page.getByText('New order: 2 × Vegetable thali').waitFor();
    assert.match(await page.title(), /^\(1\) Spice Route/);
    await order(kitchen, { specialInstructions: 'No onions, please' });
    await lane(page, 'New').getByText('No onions, please').waitFor();
    await inEachLook(`/kitchen/${kitchen.id}`, 'kitchen-new', 'No onions, please');

    await button(page, '5 minutes more').first().press('Enter');
    await button(page, 'Accept').first().press('Enter');
    await lane(page, 'Cooking')
      .getByText(/min left/)
      .waitFor();
    await inEachLook(`/kitchen/${kitchen.id}`, 'kitchen-cooking', 'Ready by');
    await button(page, 'Ready').press('Enter');
    await lane(page, 'Ready').getByText('The customer collects it.').waitFor();
    await inEachLook(`/kitchen/${kitchen.id}`, 'kitchen-ready', 'The customer collects it.');
    await button(page, 'Collected').press('Enter');
    await is(first, 'DELIVERED');

    await button(page, 'Reject …').press('Enter');
    await page.getByLabel('Too busy').check();
    await opened.shoot('kitchen-reject');
    await button(page, 'Reject the order').press('Enter');
    await page.getByText('No orders right now').waitFor();
    assert.equal(await page.evaluate('loadedOnce'), true);
    assert.deepEqual(opened.faults, []);
  });

  it('a kitchen turns the sound of new tickets off and on, and its browser remembers it', async () => {
    const kitchen = await openKitchen('Quiet Place');
    const { page } = await pages.open(`/kitchen/${kitchen.id}`);
    // Counts the notes that the page plays.
    await page.evaluate(`notes = 0; const start = OscillatorNode.prototype.start;
      OscillatorNode.prototype.start = function (...at) { notes += 1; return start.apply(this, at); }`);
    await button(page, 'Sound on').click();
    await order(kitchen);
    await lane(page, 'New').getByText('Vegetable thali').waitFor();
    assert.equal(await page.evaluate('notes'), 0);
    await button(page, 'Sound off').click();
    await until('the page to play two notes', async () => (await page.evaluate('notes')) === 2);
    await order(kitchen);
    await until('the page to play two more', async () => (await page.evaluate('notes')) === 4);
    await button(page, 'Sound on').click();
    await page.reload();
    await button(page, 'Sound off').waitFor();
  });

  it('a kitchen learns that its connection is lost, and catches up', async () => {
    const kitchen = await openKitchen('Far Away');
    const proxy = await proxyTo(pages.program.url);
    try {
      const { page } = await pages.open(`${proxy.url.replace(/\/$/, '')}/kitchen/${kitchen.id}`);
      await page.getByText('No orders right now').waitFor();
      await proxy.cut();
      await page.getByText('Connection lost').waitFor();
      await order(kitchen);
      await proxy.restore();
      await lane(page, 'New').getByText('Vegetable thali').waitFor();
      await page.getByText('Connection lost').waitFor({ state: 'detached' });
      await page.context().close();
    } finally {
      await proxy.close();
    }
  });

  it('a kitchen that does not exist is told so, with a way to those that do', async () => {
    await inEachLook('/kitchen/nowhere', 'kitchen-unknown', 'This kitchen cannot be shown');
  });
});

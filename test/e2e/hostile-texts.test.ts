/** Texts that try to be scripts, in every field that an order carries, are shown as text by every page of a real browser. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  LOOKS,
  type Look,
  type Opened,
  startBrowser,
  type TestBrowser,
  whyNoBrowser,
} from '../support/browser.ts';
import { type Program, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

/** Each calls `ran` if the browser takes it for more than text. */
const HOSTILE = [
  '<script>ran("script")</script>',
  '<img src=x onerror=ran("img")>',
  '"><svg onload=ran("svg")>',
  "' onmouseover='ran(1)' autofocus onfocus='ran(2)",
  '</td></template></textarea></title><iframe srcdoc="<script>parent.ran(3)</script>">',
  'javascript:ran("url")',
  '{{constructor.constructor("ran(4)")()}} \u0024{ran(5)} #{ran(6)} <%= ran(7) %>',
  '<a href="javascript:ran(8)" id="app">x</a><base href="//evil.example/">',
  '\u202e<script>ran("bidi")</script>\u202c \ufeff\uff1cscript\uff1eran("wide")\uff1c/script\uff1e',
  '--><math><mtext><style><img title="</style><img src=x onerror=ran(9)>">',
  '__proto__ constructor <object data="data:text/html,<script>ran(10)</script>">',
] as const;
/** Without a place to break it. */
const LONG = `${HOSTILE[2]}${'x'.repeat(200)}`;

describe('a text that tries to be a script', { skip: whyNoBrowser(), timeout: 280_000 }, () => {
  let browser: TestBrowser;
  let program: Program;
  let drop = async () => {};
  let next = 0;
  /** The texts that the history of an order has to show. */
  const written = new Map<string, readonly string[]>();
  /** Another of the texts each time. */
  const hostile = () => HOSTILE[next++ % HOSTILE.length] as string;
  const send = async (method: string, path: string, body: object, status: number) => {
    const answer = await request(method, `${program.url}${path}`, body);
    assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const hostileAddress = () => ({
    street: hostile(),
    city: hostile(),
    state: hostile(),
    zipCode: '62701',
  });
  const shows = (id: string, word: string) =>
    until(`${id} to be ${word}`, async () => {
      const { body } = await request('GET', `${program.url}/ui/orders/${id}`);
      return body.status === word || body.reason === word || body.rider?.state === word;
    });

  before(async () => {
    const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    drop = async () => void (await Promise.all([database.drop(), redis.drop()]));
    [program, browser] = await Promise.all([
      startProgram({ DATABASE_URL: database.url, REDIS_URL: redis.url }),
      startBrowser(),
    ]);
    await placeOrders();
  });
  after(async () => {
    await browser?.close();
    await program?.stop();
    await drop();
  });

  /** Orders in which every text that the API takes is hostile. */
  async function placeOrders(): Promise<void> {
    const kitchen = {
      name: hostile(),
      acceptance: 'manual',
      address: hostile(),
      location: { lat: 1, lng: 1 },
    };
    const { id: restaurantId } = await send('POST', '/api/v1/inventory/add/restaurant', kitchen, 201);
    const menu = `/api/v1/inventory/add/${restaurantId}/item`;
    const { id: itemId } = await send('POST', menu, { name: hostile(), price: 3, initial_qty: 90 }, 201);
    const rider = { name: hostile(), location: { lat: 1, lng: 1 }, capacity: 9 };
    await send('PUT', '/v1/riders/ravi', rider, 200);
    const order = (id: string) => {
      const [customerId, specialInstructions, deliveryAddress] = [hostile(), hostile(), hostileAddress()];
      const { street, city, state } = deliveryAddress;
      written.set(id, [customerId, specialInstructions, street, city, state]);
      return {
        ...{ id, restaurantId, customerId, items: [{ itemId, quantity: 1 }], deliveryAddress },
        ...{ specialInstructions, contact: { name: hostile(), phone: hostile() } },
        payment: { token: 'tok_approve' },
      };
    };
    const answer = (id: string, body: object) =>
      send('POST', `/v1/restaurants/${restaurantId}/orders/${id}`, body, 200);
    for (const id of ['rejected', 'carried']) {
      await send('POST', '/v1/orders', order(id), 201);
      await shows(id, 'CONFIRMED');
    }
    await answer('rejected', { action: 'REJECT', reason: HOSTILE[1] });
    await answer('carried', { action: 'ACCEPT' });
    await send('POST', '/v1/orders', { ...order('waiting'), payment: { token: hostile() } }, 201);
    const byAmount = { id: 'cancelled', customer_name: hostile(), total_price: 5 };
    await send('POST', '/orders', { ...byAmount, scheduled_time: '2035-01-01T00:00:00Z' }, 201);
    await send('POST', '/v1/orders/cancelled/cancel', { reason: LONG }, 200);
    await Promise.all([
      shows('rejected', HOSTILE[1]),
      shows('carried', 'ASSIGNED'),
      shows('cancelled', LONG),
    ]);
  }

  /** Opens it in each look, and asserts that nothing of it ran. */
  async function visit(
    path: string,
    look: (opened: Opened) => Promise<void> = async () => {},
    ways: readonly Look[] = LOOKS,
  ): Promise<void> {
    for (const way of ways) {
      const opened = await browser.open(`${program.url}${path}`, way);
      await look(opened);
      // Whatever an event handler or a frame would have started has started by then.
      await opened.page.evaluate('new Promise((resolve) => setTimeout(resolve, 100))');
      assert.deepEqual(opened.faults, [], path);
      await opened.page.context().close();
    }
  }

  for (const [id, text] of [
    ['rejected', HOSTILE[1]],
    ['cancelled', LONG],
    ['carried', 'ravi'],
    ['waiting', 'Confirmed'],
  ] as const)
    it(`is text on the page of an order that is ${id}, and in its history`, () =>
      visit(`/#order=${id}`, async ({ page, shoot }) => {
        await page.locator('#tracking').getByText(text).first().waitFor();
        await page.getByText('History', { exact: true }).click();
        await page.locator('#entries tr').first().waitFor();
        const history = (await page.locator('#entries').textContent()) ?? '';
        for (const one of written.get(id) ?? [])
          assert.ok(history.includes(JSON.stringify(one).slice(1, -1)), one);
        assert.ok(
          await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
          'it fits the screen',
        );
        await shoot(`order-${id}`);
      }));

  it('is text as the id of an order that does not exist, and among the recent orders', () =>
    visit('/', async ({ page, shoot }) => {
      const recent = HOSTILE.slice(0, 10).map((id) => ({ id, at: 1 }));
      await page.evaluate(`localStorage.setItem('tiffin.recent', ${JSON.stringify(JSON.stringify(recent))})`);
      await page.reload();
      await page.getByRole('link', { name: HOSTILE[0] }).waitFor();
      await shoot('recent');
      for (const text of HOSTILE) {
        await page.evaluate(`location.hash = 'order=' + encodeURIComponent(${JSON.stringify(text)})`);
        await page.locator('#tracking-fault').getByText(text.trim()).waitFor();
        assert.equal(await page.locator('#tracking-id').textContent(), text.trim());
      }
      await page.goBack();
    }));

  it('is text in what the server says about a form', () =>
    visit('/', async ({ page, shoot }) => {
      const fields = page.locator(
        '#order input:visible:not([type=radio]):not([type=number]):not([type=datetime-local])',
      );
      for (const [n, field] of (await fields.all()).entries())
        await field.fill(HOSTILE[n % HOSTILE.length] as string);
      await page.getByRole('button', { name: 'Place the order' }).click();
      await page.locator('#order .fault:visible').first().waitFor();
      await shoot('form');
    }));

  it('is text in the API’s answers, whatever is asked for', async () => {
    const { page, faults } = await browser.open(`${program.url}/ui/orders/rejected?history=true`);
    for (const text of HOSTILE)
      for (const path of ['', 'orders?id=']) {
        await page.goto(`${program.url}/${path}${encodeURIComponent(text)}`);
        assert.deepEqual(faults, [], text);
      }
  });

  it('does not run on the page of the API, which needs nothing that its policy forbids', () =>
    visit(
      `/docs?url=${encodeURIComponent('javascript:ran(1)')}#/${encodeURIComponent(HOSTILE[1])}`,
      async ({ page, shoot }) => {
        await page.getByText('POST', { exact: true }).first().waitFor();
        await shoot('docs');
      },
      [{}],
    ));

  it('would be noticed', async () => {
    const { page, faults } = await browser.open(`${program.url}/livez`);
    await page.setContent(`<p>${HOSTILE[1]}</p>`);
    await until('the script to run', () => faults.includes('ran: img'));
  });
});

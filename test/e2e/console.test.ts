/** The console, as an operator uses it by hand: finds dead letters, replays them, looks at one and discards it. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import type { Page } from 'playwright-core';
import { bearer, SECRET } from '../http/tokens.ts';
import { whyNoBrowser } from '../support/browser.ts';
import { type Pages, startPages } from '../support/opened-pages.ts';
import { request } from '../support/program.ts';
import { until } from '../support/until.ts';

const VIEWS = 'query-service.views';
const SETTLE = 'payment-service.settle';
const TIMED_OUT = 'the view could not be stored: 100% of /a/b?c=d&e timed out <b>';
const UNREADABLE = 'payload.amount: must be a whole number';
const LETTER = `insert into dead_letters (consumer, event_id, order_id, topic, record, error, retry_count) values`;

describe('the console', { skip: whyNoBrowser(), timeout: 280_000 }, () => {
  let pages: Pages;
  let database: pg.Client;
  let token: string;

  before(async () => {
    pages = await startPages({ AUTH_JWT_SECRET: SECRET, ENVIRONMENT: 'staging' });
    database = new pg.Client({ connectionString: pages.databaseUrl });
    await database.connect();
    token = (await bearer('op', 'operator')).authorization.replace('Bearer ', '');
  });
  after(async () => {
    await database?.end();
    await pages?.close();
  });

  async function signIn(page: Page, text = token): Promise<void> {
    await page.getByLabel('Access token').fill(text);
    await page.getByRole('button', { name: 'Use this token' }).press('Enter');
  }
  const inEachLook = (path: string, name: string, text: string) =>
    pages.inEachLook(path, name, async ({ page }) => {
      await signIn(page);
      await page.getByText(text).first().waitFor();
    });
  const lettersOf = async (consumer: string): Promise<{ retry_count: number }[]> =>
    (await database.query('select * from dead_letters where consumer = $1 order by id', [consumer])).rows;
  const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });

  /** Events that their consumer can handle now, as it could not before. */
  async function addReplayable(count: number): Promise<void> {
    const headers = await bearer('op', 'operator');
    for (let n = 0; n < count; n += 1) {
      const body = { id: `late-${n}`, customer_name: 'Asha', total_price: 5 };
      assert.equal((await request('POST', `${pages.program.url}/orders`, body, headers)).status, 201);
    }
    await database.query(
      `insert into dead_letters (consumer, event_id, order_id, topic, record, error, retry_count)
        select $1, event_id, order_id, 'order.created', record, $2, 3 from events where event_type = 'order.created'`,
      [VIEWS, TIMED_OUT],
    );
  }
  const addUnreadable = (orderId: string) =>
    database.query(`${LETTER} ($1, $2, $2, 'raw.order-events', '{"amount": 9007199254740993}', $3, 3)`, [
      SETTLE,
      orderId,
      UNREADABLE,
    ]);

  it('an operator signs in, finds a group of letters, replays it, and discards another letter by letter', async () => {
    await inEachLook('/console/letters', 'console-no-letters', 'No dead letters.');
    await addReplayable(3);
    await addUnreadable('validated_orders/0/7');

    const opened = await pages.open('/console');
    const { page } = opened;
    await signIn(page, 'nonsense');
    await page.getByText('This token is not accepted.').waitFor();
    await signIn(page);
    await page.getByText('4 letters in 2 groups').waitFor();
    await page.getByTitle('Environment').getByText('staging').waitFor();
    await inEachLook('/console', 'console-home', '4 letters in 2 groups');
    await page.evaluate('loadedOnce = true');
    await page.getByRole('navigation').getByRole('link', { name: 'Dead letters' }).press('Enter');
    await page.getByText(TIMED_OUT).first().waitFor();
    await inEachLook('/console/letters', 'console-letters', TIMED_OUT);

    // With the pointer in the table, what is gone keeps its place.
    await page.getByRole('row').nth(1).hover();
    await button(page, `Replay 3 letters of ${VIEWS}`).click();
    await page.getByText('3 letters replayed').waitFor();
    assert.deepEqual(await lettersOf(VIEWS), []);
    assert.equal(await page.getByRole('row').nth(1).getByText(TIMED_OUT).first().isVisible(), true);
    await page.mouse.move(0, 0);

    await addUnreadable('validated_orders/0/8');
    await page.getByRole('row', { name: UNREADABLE }).getByText('2', { exact: true }).waitFor();
    await page.getByRole('link', { name: UNREADABLE }).press('Enter');
    await page.getByText('validated_orders/0/7').waitFor();
    const address = new URL(page.url());
    assert.deepEqual(Object.fromEntries(address.searchParams), { consumer: SETTLE, error: UNREADABLE });
    await inEachLook(`${address.pathname}${address.search}`, 'console-group', 'validated_orders/0/8');

    await page.getByRole('cell').getByRole('link').first().press('Enter');
    await page.getByText('9007199254740993').waitFor();
    await inEachLook(new URL(page.url()).pathname, 'console-letter', '9007199254740993');
    await button(page, 'Replay').press('Enter');
    await page.getByText('The replay failed again').waitFor();
    assert.equal((await lettersOf(SETTLE))[0]?.retry_count, 4);

    await button(page, 'Discard …').press('Enter');
    await opened.shoot('console-discard');
    await button(page, 'Keep it').press('Enter');
    assert.equal((await lettersOf(SETTLE)).length, 2);
    await button(page, 'Discard …').press('Enter');
    await button(page, 'Discard it').press('Enter');
    await until('one letter to be left', async () => (await lettersOf(SETTLE)).length === 1);
    assert.equal(await page.evaluate('loadedOnce'), true);
    assert.deepEqual(opened.faults, []);
  });

  it('a group is discarded only after a question, and a hidden tab asks for nothing', async () => {
    await addUnreadable('validated_orders/0/9');
    const { page } = await pages.open('/console/letters');
    await page.clock.install();
    await signIn(page);
    let asked = 0;
    page.on('request', () => {
      asked += 1;
    });
    const hide = (isHidden: boolean) =>
      page.evaluate(`Object.defineProperty(document, 'hidden', { configurable: true, value: ${isHidden} });
        document.dispatchEvent(new Event('visibilitychange'))`);
    await button(page, /^Replay \d/)
      .first()
      .waitFor();
    await hide(true);
    asked = 0;
    await page.clock.runFor(60_000);
    assert.equal(asked, 0);
    await hide(false);
    await until('the page to ask again', async () => asked > 0);

    const row = page.getByRole('row', { name: UNREADABLE });
    await row.getByRole('button', { name: 'Discard …' }).click();
    await page.getByRole('button', { name: 'Keep them' }).click();
    const before = (await lettersOf(SETTLE)).length;
    assert.ok(before > 0);
    await row.getByRole('button', { name: 'Discard …' }).click();
    await page.getByRole('button', { name: 'Discard them' }).click();
    await until('the group to be gone', async () => (await lettersOf(SETTLE)).length < before);
  });
});

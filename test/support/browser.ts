/** Opens pages in a real Chromium, and collects what no page may do: run a script of a text, or ask for what its policy forbids. */
import fs from 'node:fs';
import path from 'node:path';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Why tests in a browser are skipped; BROWSER_TESTS=required makes a missing one an error. */
export function whyNoBrowser(): string | undefined {
  if (executable()) return undefined;
  const fault = `there is no ${NAMES.join(' or ')} on the PATH`;
  if (process.env.BROWSER_TESTS === 'required') throw new Error(`BROWSER_TESTS=required, and ${fault}`);
  return fault;
}

function executable(): string | undefined {
  const places = (process.env.PATH ?? '').split(path.delimiter);
  return NAMES.flatMap((name) => places.map((place) => path.join(place, name))).find((file) =>
    fs.existsSync(file),
  );
}

export interface Look {
  /** 1280 px, or 390 px as on a phone. */
  readonly width?: 390 | 1280;
  readonly colours?: 'light' | 'dark';
}

/** Both widths and both themes; for pictures each width in each theme. */
export const LOOKS: readonly Look[] = [
  { width: 390, colours: 'dark' },
  { width: 1280, colours: 'light' },
  ...(process.env.SCREENSHOTS
    ? ([
        { width: 390, colours: 'light' },
        { width: 1280, colours: 'dark' },
      ] as const)
    : []),
];

export interface Opened {
  readonly page: Page;
  /** What the page did that it must not do: scripts that ran, violations of the policy, errors, requests to other servers. */
  readonly faults: readonly string[];
  /** Saves the whole page as `<name>-<width>-<colours>.png` in the folder that SCREENSHOTS names, if it does. */
  shoot(name: string): Promise<void>;
}

/** A browser with a new profile for each page. Texts under test call `ran(…)` when they are executed. */
export interface TestBrowser {
  open(url: string, look?: Look): Promise<Opened>;
  close(): Promise<void>;
}

export async function startBrowser(): Promise<TestBrowser> {
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const browser = await chromium.launch({ executablePath: executable() ?? '', args: sandbox });
  return { open: (url, look) => open(browser, url, look), close: () => browser.close() };
}

const NOTICE_VIOLATIONS = `document.addEventListener('securitypolicyviolation', (event) =>
  ran('violates ' + event.violatedDirective + ': ' + event.blockedURI + ' ' + event.sample));`;

async function open(browser: Browser, url: string, { width = 1280, colours = 'light' }: Look = {}) {
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme: colours });
  const faults: string[] = [];
  await context.exposeFunction('ran', (what: unknown) => void faults.push(`ran: ${what}`));
  await context.addInitScript({ content: NOTICE_VIOLATIONS });
  context.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on('weberror', (error) => void faults.push(`error: ${error.error().message}`));
  context.on('console', (line) => {
    if (/Content.Security.Policy|Trusted/i.test(line.text())) faults.push(`console: ${line.text()}`);
  });
  context.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (!['data:', 'blob:'].includes(protocol) && origin !== new URL(url).origin)
      faults.push(`request: ${request.url()}`);
  });
  const page = await context.newPage();
  context.on('page', (other) => void (other !== page && faults.push(`window: ${other.url()}`)));
  await page.goto(url);
  return {
    page,
    faults,
    async shoot(name: string) {
      const folder = process.env.SCREENSHOTS;
      if (!folder) return;
      await page.screenshot({ path: path.join(folder, `${name}-${width}-${colours}.png`), fullPage: true });
    },
  };
}

/** What axe-core finds; run by the browser itself, which the page's policy does not forbid. */
export async function axeFinds(page: Page): Promise<string[]> {
  const script = `${axe.source}; axe.run().then(({ violations }) => violations.map(
    ({ id, nodes }) => id + ': ' + nodes.map(({ html, failureSummary }) => html + ' ' + failureSummary).join(' | ')))`;
  return (await page.evaluate(script)) as string[];
}

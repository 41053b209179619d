/** A program on databases of its own, and its pages in a real browser. */
import assert from 'node:assert/strict';
import { axeFinds, LOOKS, type Look, type Opened, startBrowser } from './browser.ts';
import { type Env, type Program, request, startProgram } from './program.ts';
import { freshDatabase, freshRedis } from './servers.ts';

export interface Pages {
  readonly program: Program;
  readonly databaseUrl: string;
  /** Opens a page by its path or URL. */
  open(url: string, look?: Look): Promise<Opened>;
  /** Opens a page in each look, waits for what shows that it is complete, asserts that it is sound, and takes its picture. */
  inEachLook(url: string, name: string, isComplete: (opened: Opened) => Promise<unknown>): Promise<void>;
  /** Sends a request that has to succeed, and resolves with the body of its answer. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever shape they expect.
  send(method: string, path: string, body?: object): Promise<any>;
  close(): Promise<void>;
}

export async function startPages(env: Env = {}): Promise<Pages> {
  const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  const [program, browser] = await Promise.all([
    startProgram({ DATABASE_URL: database.url, REDIS_URL: redis.url, ...env }),
    startBrowser(),
  ]);
  const open = (url: string, look?: Look) => browser.open(new URL(url, program.url).href, look);
  return {
    program,
    databaseUrl: database.url,
    open,
    async inEachLook(url, name, isComplete) {
      for (const look of LOOKS) {
        const opened = await open(url, look);
        await isComplete(opened);
        await assertSound(opened);
        await opened.shoot(name);
        await opened.page.context().close();
      }
    },
    async send(method, path, body) {
      const answer = await request(method, `${program.url}${path}`, body);
      assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
    async close() {
      await browser.close();
      await program.stop();
      await Promise.all([database.drop(), redis.drop()]);
    },
  };
}

/** Nothing that axe-core finds, nothing to scroll sideways, and nothing that a page must not do. */
export async function assertSound({ page, faults }: Opened): Promise<void> {
  assert.deepEqual(await axeFinds(page), []);
  assert.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'it fits the screen');
  assert.deepEqual(faults, []);
}

/** Settings that only the whole program applies: the time limit of the order logic. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';

describe('the settings of the whole program', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let program: Program | undefined;

  beforeEach(async () => {
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  });
  afterEach(async () => {
    await program?.kill();
    await Promise.all([database.drop(), redis.drop()]);
  });

  async function start(env: Record<string, string>, services: string[] = []): Promise<Program> {
    program = await startProgram({ DATABASE_URL: database.url, REDIS_URL: redis.url, ...env }, services);
    return program;
  }
  it('order logic that never ends is given up after its time limit, and called again', async () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-logic-'));
    const calls = path.join(dir, 'calls');
    const logic = path.join(dir, 'logic.mjs');
    fs.writeFileSync(
      logic,
      `import fs from 'node:fs';
       export default async () => { fs.appendFileSync(${JSON.stringify(calls)}, 'x'); await new Promise(() => {}); };`,
    );
    try {
      // Within the deadline a call of the default 10 s would not end.
      const env = { ORDER_LOGIC: logic, ORDER_LOGIC_TIMEOUT_MS: '100', DEADLINE_PROCESSING_S: '8' };
      const { url } = await start(env);
      await request('POST', `${url}/orders`, { id: 'stuck', customer_name: 'Asha', total_price: 5 });
      await reaches(url, 'stuck', 'FAILED');
      assert.ok(fs.readFileSync(calls, 'utf8').length > 1);
    } finally {
      fs.rmSync(dir, { recursive: true });
    }
  });
});

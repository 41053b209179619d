/** Programs whose machines' clocks are ahead and behind: what is due is due at the same time as with right clocks. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';

const SHIFT_MS = 20_000;
/** Much less than the shift, and enough for a busy machine. */
const SOON_MS = 10_000;
const DEADLINE_S = 4;
const shifted = pathToFileURL(path.resolve(import.meta.dirname, '../support/shifted-clock.mjs')).href;

for (const [name, shifts] of Object.entries({
  ahead: [SHIFT_MS],
  behind: [-SHIFT_MS],
  'apart, one ahead and one behind': [SHIFT_MS, -SHIFT_MS],
})) {
  describe(`programs whose clocks are ${name}`, () => {
    let database: Awaited<ReturnType<typeof freshDatabase>>;
    let redis: Awaited<ReturnType<typeof freshRedis>>;
    let dir: string;
    const programs: Program[] = [];

    before(async () => {
      dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-clocks-'));
      const logic = path.join(dir, 'logic.mjs');
      fs.writeFileSync(
        logic,
        `export default async (order) => {
           if (order.customerName === 'Stuck') throw Object.assign(new Error('away'), { code: 'UNAVAILABLE' });
         };`,
      );
      [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
      for (const shift of shifts)
        programs.push(
          await startProgram({
            DATABASE_URL: database.url,
            REDIS_URL: redis.url,
            ORDER_LOGIC: logic,
            DEADLINE_PROCESSING_S: String(DEADLINE_S),
            NODE_OPTIONS: `--import ${shifted}`,
            CLOCK_SHIFT_MS: String(shift),
          }),
        );
    });
    after(async () => {
      await Promise.all(programs.map((program) => program.kill()));
      await Promise.all([database.drop(), redis.drop()]);
      fs.rmSync(dir, { recursive: true });
    });

    const place = async ({ url }: Program, id: string, fields: object = {}) => {
      const body = { id, customer_name: 'Asha', total_price: 5, ...fields };
      const answer = await request('POST', `${url}/orders`, body);
      assert.equal(answer.status, 201);
      return answer.body;
    };

    it('an order for now is dispatched now, and has the time of the servers', async () => {
      for (const [n, program] of programs.entries()) {
        const started = Date.now();
        const { created_at } = await place(program, `now-${n}`);
        assert.ok(Math.abs(Date.parse(created_at) - started) < SOON_MS);
        await reaches(program.url, `now-${n}`, 'COMPLETED');
        assert.ok(Date.now() - started < SOON_MS, 'the order was late');
      }
    });

    it('a scheduled order is dispatched at its time', async () => {
      for (const [n, program] of programs.entries()) {
        const dueAt = Date.now() + 2_000;
        await place(program, `later-${n}`, { scheduled_time: new Date(dueAt).toISOString() });
        await reaches(program.url, `later-${n}`, 'COMPLETED');
        assert.ok(Date.now() >= dueAt && Date.now() - dueAt < SOON_MS, 'the order was early or late');
      }
    });

    it('a deadline ends an order after its time, neither before nor long after', async () => {
      for (const [n, program] of programs.entries()) {
        const started = performance.now();
        await place(program, `stuck-${n}`, { customer_name: 'Stuck' });
        await reaches(program.url, `stuck-${n}`, 'FAILED');
        const seconds = (performance.now() - started) / 1_000;
        assert.ok(seconds >= DEADLINE_S - 0.1, `the order ended after ${seconds} s`);
        assert.ok(seconds < DEADLINE_S + SOON_MS / 1_000, `the order ended after ${seconds} s`);
      }
    });
  });
}

/** Tiffin on its embedded Postgres and Redis: the default, which needs nothing but Node. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { type Program, reaches, request, runProgram, startProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

describe('Tiffin on its embedded servers', () => {
  let dataDir: string;
  let env: Record<string, string>;
  let program: Program;

  before(async () => {
    dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-e2e-'));
    fs.chmodSync(dataDir, 0o755);
    env = { DATA_DIR: path.join(dataDir, 'data'), EMBEDDED_REDIS: 'wasm' };
    program = await startProgram(env);
  });
  after(async () => {
    await program.stop();
    fs.rmSync(dataDir, { recursive: true, force: true });
  });

  const topic = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['--import', 'tsx', 'cmd/topic.ts', ...args], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, DATA_DIR: env.DATA_DIR },
      timeout: 60_000,
    });

  it('an immediate order is placed under the id that the client chose, and completes', async () => {
    const placed = await request('POST', `${program.url}/orders`, {
      id: 'order-1',
      customer_name: 'Asha',
      total_price: 500,
    });
    assert.equal(placed.status, 201);
    assert.deepEqual(
      { ...placed.body, created_at: undefined },
      {
        id: 'order-1',
        orderId: 'order-1',
        customer_name: 'Asha',
        total_price: 500,
        status: 'CREATED',
        created_at: undefined,
      },
    );
    await reaches(program.url, 'order-1', 'COMPLETED');
  });

  it('a scheduled order is dispatched at its due time, and a log line states the delay', async () => {
    const dueAt = Date.now() + 2_500;
    const body = {
      id: 'order-future',
      customer_name: 'Ravi',
      total_price: 1000,
      scheduled_time: new Date(dueAt).toISOString(),
    };
    await request('POST', `${program.url}/orders`, body);
    const { body: waiting } = await request('GET', `${program.url}/orders?id=order-future`);
    assert.equal(waiting.status, 'CREATED');
    await reaches(program.url, 'order-future', 'COMPLETED');
    const line = await until('the log line of the dispatch', () =>
      program.log.find((entry) => entry.msg === 'dispatched 1 order' && Date.parse(entry.time) >= dueAt),
    );
    assert.ok((line.lateMs as { p50: number }).p50 >= 0);
  });

  it('cmd/topic.ts lists the topics, and reads and writes their records', async () => {
    const { stdout: topics } = await topic('list');
    assert.ok(topics.split('\n').includes('order.ready'));
    const { stdout } = await topic('consume', 'order.created', '--from-beginning', '--count', '1');
    const record = JSON.parse(stdout);
    assert.equal(record.order_id, 'order-1');
    assert.equal(record.eventType, 'order.created');

    const consumer = spawn(
      process.execPath,
      ['--import', 'tsx', 'cmd/topic.ts', 'consume', 'validated_orders', '--from-beginning', '--count', '1'],
      {
        cwd: ROOT,
        env: { PATH: process.env.PATH, DATA_DIR: env.DATA_DIR },
      },
    );
    const ended = once(consumer, 'exit');
    const printed = once(createInterface({ input: consumer.stdout }), 'line');
    await topic('produce', 'validated_orders', '{"user_id":"user-001","items":[]}');
    assert.deepEqual(JSON.parse((await printed)[0]), { user_id: 'user-001', items: [] });
    await ended;
  });

  it('a second program on the same data directory fails and names the process that uses it', async () => {
    const { code, stderr } = await runProgram({ ...env, PORT: '0' });
    assert.equal(code, 1);
    assert.match(stderr, /^tiffin: The data directory .* is in use by process \d+/);
  });

  it('a start with wrong settings fails with one sentence that names each of them', async () => {
    const { code, stderr } = await runProgram({ ...env, PORT: 'eighty', DISPATCH_INTERVAL_MS: '0' });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^tiffin: PORT must be a whole number from 0 to 65535, and it is 'eighty'; DISPATCH_INTERVAL_MS .*\.\n$/,
    );
  });

  it('orders that were acknowledged before a SIGKILL complete after a restart', async () => {
    const ids = ['killed-now', 'killed-later'];
    await request('POST', `${program.url}/orders`, {
      id: 'killed-later',
      customer_name: 'Asha',
      total_price: '12.50',
      scheduled_time: new Date(Date.now() + 1_500).toISOString(),
    });
    await request('POST', `${program.url}/orders`, {
      id: 'killed-now',
      customer_name: 'Asha',
      total_price: 1,
    });
    await program.kill();
    program = await startProgram(env);
    for (const id of ids) await reaches(program.url, id, 'COMPLETED');
  });

  it('a healthy run logs no error', () => {
    assert.deepEqual(
      program.log.filter(({ level }) => level === 'error' || level === 'fatal'),
      [],
    );
  });

  it('when an embedded server dies, the program logs the fault, exits with code 1 and loses no order', async () => {
    await request('POST', `${program.url}/orders`, { id: 'kept', customer_name: 'Asha', total_price: 1 });
    const [postgres] = fs
      .readFileSync(path.join(dataDir, 'data', 'postgres', 'postmaster.pid'), 'utf8')
      .split('\n');
    process.kill(Number(postgres), 'SIGKILL');
    assert.deepEqual(await once(program.child, 'exit'), [1, null]);
    const { msg, fault } = await until('the fatal log line', () =>
      program.log.find(({ level }) => level === 'fatal'),
    );
    assert.match(msg, /^Tiffin stops; no acknowledged order is lost/);
    assert.equal(fault, 'The embedded Postgres has ended (killed by SIGKILL).');
    program = await startProgram(env);
    await reaches(program.url, 'kept', 'COMPLETED');
  });
});

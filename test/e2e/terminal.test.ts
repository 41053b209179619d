/** What somebody sees who starts it in a terminal: after the ready line, what to do next. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../embedded/checkout.ts';
import { startProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const directory = temporaryDirectory(0o755);
const env = { DATA_DIR: path.join(directory, 'data'), EMBEDDED_REDIS: 'wasm', PORT: '0' };
/** That of util-linux, which runs a command on a terminal of its own. */
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux');

test('on a terminal the ready line is followed by the page, the API and an order to place, at the right port', {
  timeout: 60_000,
  skip: !hasScript && 'there is no script of util-linux',
}, async () => {
  const command = `exec ${process.execPath} --import tsx cmd/tiffin.ts`;
  const terminal = spawn('script', ['-qefc', command, '/dev/null'], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let screen = '';
  terminal.stdout.on('data', (data) => {
    screen += data;
  });
  const example = await until('the example', () => /-d '\{.*\}'\r?\n/.test(screen) && screen);
  const url = /Tiffin is ready at (http:[\w./:]+)/.exec(example)?.[1] as string;
  const after = example.slice(example.indexOf('Tiffin is ready'));
  assert.ok(after.includes(`  ${url}/\r\n`), after);
  assert.ok(after.includes(`${url}/docs\r\n`), after);
  // The example is run as it stands.
  const curl = after.slice(after.indexOf('curl ')).replaceAll('\r', '').trim();
  const { stdout } = spawnSync('sh', ['-c', `${curl} --silent`], { encoding: 'utf8' });
  assert.equal(JSON.parse(stdout).id, 'order-1');
  // Ctrl-C in the terminal.
  terminal.stdin.write('\x03');
  assert.deepEqual((await once(terminal, 'close'))[0], 0);
  assert.match(screen, /Tiffin has stopped/);
});

test('on a pipe there are log lines only', { timeout: 60_000 }, async () => {
  const program = await startProgram({ ...env, LOG_FORMAT: 'json' });
  await program.stop(); // a line that is not JSON would have failed the reading of the log
  assert.ok(program.log.every(({ msg }) => typeof msg === 'string' && !msg.includes('curl')));
  assert.ok(fs.existsSync(env.DATA_DIR));
});

/** The output of the program: in a terminal the ready line and next steps, on a pipe only log lines. */
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
/** Whether `script` of util-linux is installed; it runs a command in a terminal of its own. */
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux');

test('in a terminal, the ready line is followed by the URLs and a curl command that places an order', {
  timeout: 60_000,
  skip: !hasScript && 'the script command of util-linux is not installed',
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
  const example = await until('the example command', () => /-d '\{.*\}'\r?\n/.test(screen) && screen);
  const url = /Tiffin is ready at (http:[\w./:]+)/.exec(example)?.[1] as string;
  const after = example.slice(example.indexOf('Tiffin is ready'));
  assert.ok(after.includes(`  ${url}/\r\n`), after);
  assert.ok(after.includes(`${url}/docs\r\n`), after);
  // Run the printed command unchanged.
  const curl = after.slice(after.indexOf('curl ')).replaceAll('\r', '').trim();
  const { stdout } = spawnSync('sh', ['-c', `${curl} --silent`], { encoding: 'utf8' });
  assert.equal(JSON.parse(stdout).id, 'order-1');
  // Ctrl-C in the terminal.
  terminal.stdin.write('\x03');
  assert.deepEqual((await once(terminal, 'close'))[0], 0);
  assert.match(screen, /Tiffin has stopped/);
});

test('on a pipe, the program prints only log lines', { timeout: 60_000 }, async () => {
  const program = await startProgram({ ...env, LOG_FORMAT: 'json' });
  await program.stop(); // the reader of the log throws on a line that is not JSON
  assert.ok(program.log.every(({ msg }) => typeof msg === 'string' && !msg.includes('curl')));
  assert.ok(fs.existsSync(env.DATA_DIR));
});

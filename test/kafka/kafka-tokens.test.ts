/** When the tokens of a command are renewed, and what is used while none can be fetched. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { tokenByCommand } from '../../internal/transport/events/kafka-tokens.ts';
import { until } from '../support/until.ts';

/** A command that prints a file and counts how often it was run. */
function commandOf(t: TestContext) {
  const dir = mkdtempSync(path.join(tmpdir(), 'tiffin-token-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [file, runs] = [path.join(dir, 'token'), path.join(dir, 'runs')];
  return {
    print: (text: string) => writeFileSync(file, text),
    fail: () => rmSync(file),
    runs: () => readFileSync(runs, 'utf8').length,
    token: tokenByCommand(`printf . >> '${runs}'; cat '${file}'`),
  };
}

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (claims: object) => `${part({ alg: 'none' })}.${part(claims)}.`;

test('a token that the command has kept for long is renewed by its end, not by the time for which it was issued', async (t) => {
  const { print, token } = commandOf(t);
  const now = Date.now() / 1_000;
  const kept = jwt({ iat: now - 3_600, exp: now + 0.5 });
  print(kept);
  assert.equal(await token(), kept);
  print('another');
  await until('the next token', async () => (await token()) === 'another');
});

test('while the command fails, the last token is used until it ends', async (t) => {
  const { print, fail, runs, token } = commandOf(t);
  print('{"access_token":"first","expires_in":8}');
  assert.equal(await token(), 'first');
  fail();
  await until('the command to fail', async () => {
    assert.equal(await token(), 'first');
    return runs() > 1;
  });
  const failed = () =>
    token().then(
      () => false,
      (error: Error) => /KAFKA_TOKEN_COMMAND failed/.test(error.message),
    );
  await until('the end of the token', failed);
});

/** The settings of TLS for Redis: the error names every fault of them. */
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { readConfig } from '../config.ts';

const FILE = path.join(mkdtempSync(path.join(tmpdir(), 'tiffin-')), 'file.pem');
writeFileSync(FILE, 'no certificate');

function faultOf(env: Record<string, string>): string {
  try {
    readConfig(env);
  } catch (error) {
    return (error as Error).message;
  }
  return assert.fail('the settings were accepted');
}

test('TLS needs no file, and files that nothing uses are refused', () => {
  readConfig({ REDIS_URL: 'rediss://cache' });
  readConfig({
    REDIS_URL: 'redis://cache',
    CACHE_REDIS_URL: 'rediss+sentinel://cache/main',
    REDIS_CA_FILE: '',
  });
  const sentence = faultOf({ REDIS_URL: 'redis://cache', REDIS_CA_FILE: FILE, REDIS_KEY_FILE: FILE });
  for (const name of ['REDIS_CA_FILE', 'REDIS_KEY_FILE'])
    assert.match(sentence, new RegExp(`${name} is set, but no URL of Redis begins with rediss`));
  assert.match(sentence, /of REDIS_CERT_FILE and REDIS_KEY_FILE only one is set/);
});

test('files that cannot be read or used are named, with every fault in one sentence', () => {
  const missing = faultOf({ REDIS_URL: 'rediss://cache', REDIS_CA_FILE: `${FILE}-2`, REDIS_CERT_FILE: FILE });
  assert.match(missing, /REDIS_CA_FILE names '.*-2', which cannot be read .*; of REDIS_CERT_FILE and/);
  const unusable = faultOf({ REDIS_URL: 'rediss://cache', REDIS_CERT_FILE: FILE, REDIS_KEY_FILE: FILE });
  assert.match(unusable, /^REDIS_CERT_FILE with REDIS_KEY_FILE cannot be used \([^\n]*\)\.$/);
});

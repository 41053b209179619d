/** Reading the configuration: which values are accepted, and the error message for every other value. */
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { readConfig } from './config.ts';
import { ConfigError } from './faults.ts';

function faultOf(env: Record<string, string>): string {
  try {
    readConfig(env);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  return 'the configuration was accepted';
}

test('without any setting the servers are embedded and the address is 127.0.0.1:8080', () => {
  const { HOST, PORT, DATABASE_URL, REDIS_URL, KAFKA_BROKERS, DISPATCH_INTERVAL_MS, SCHEDULE_SHARDS } =
    readConfig({});
  assert.deepEqual([HOST, PORT, DISPATCH_INTERVAL_MS, SCHEDULE_SHARDS], ['127.0.0.1', 8080, 1_000, 1]);
  assert.deepEqual([DATABASE_URL, REDIS_URL, KAFKA_BROKERS], [undefined, undefined, undefined]);
});

test('an empty variable counts as not set', () => {
  assert.deepEqual(readConfig({ PORT: '', DATABASE_URL: '', KAFKA_BROKERS: '', AUTH: '' }), readConfig({}));
});

test('numbers are read as numbers, brokers as a list, and other variables are ignored', () => {
  const config = readConfig({
    PORT: '0',
    DATABASE_URL: 'postgresql://me@db:5432/tiffin',
    REDIS_URL: 'rediss://cache:6380/1',
    KAFKA_BROKERS: 'a:9092, b.example:9093',
    SCHEDULE_SHARDS: '64',
    PATH: '/usr/bin',
  });
  assert.deepEqual(
    [config.PORT, config.SCHEDULE_SHARDS, config.KAFKA_BROKERS],
    [0, 64, ['a:9092', 'b.example:9093']],
  );
  assert.equal('PATH' in config, false);
});

const WRONG: readonly [name: string, value: string, why: RegExp][] = [
  ['PORT', '65536', /PORT must be a whole number from 0 to 65535, and it is '65536'/],
  ['PORT', 'http', /PORT must be a whole number/],
  ['PORT', '80.5', /PORT must be a whole number/],
  ['PORT', '-1', /PORT must be a whole number/],
  [
    'DATABASE_URL',
    'mysql://db',
    /DATABASE_URL must be a URL that begins with postgres:\/\/ or postgresql:\/\//,
  ],
  ['DATABASE_URL', 'localhost', /DATABASE_URL must be a URL/],
  [
    'DATABASE_URL',
    'postgres://a:x,b/db?sslmode=allow',
    /^DATABASE_URL has the port 'x', which is not a number from 1 to 65535; DATABASE_URL has sslmode=allow, and Tiffin takes one of [^\n]+\.$/,
  ],
  ['DATABASE_POOL', '1', /DATABASE_POOL must be a whole number from 2 to 200/],
  ['REDIS_URL', 'http://cache', /REDIS_URL must begin with redis:\/\/ or rediss:\/\/ or redis\+sentinel/],
  ['REDIS_URL', 'redis+cluster://a/1', /^REDIS_URL must have no database number, since a Redis Cluster has/],
  ['CACHE_REDIS_URL', 'redis://,', /must have one host, .*; CACHE_REDIS_URL must not leave host 1 empty/],
  ['REDIS_PREFIX', 'a{b}', /REDIS_PREFIX must be 1 to 32 letters/],
  ['EMBEDDED_REDIS', 'yes', /EMBEDDED_REDIS must be one of auto, native, wasm/],
  ['KAFKA_BROKERS', 'kafka', /KAFKA_BROKERS must be host:port/],
  ['KAFKA_BROKERS', 'a:1,,b:2', /KAFKA_BROKERS must be host:port/],
  ['DISPATCH_INTERVAL_MS', '9', /DISPATCH_INTERVAL_MS must be a whole number from 10 to 60000/],
  ['DISPATCH_LEASE_MS', '1', /DISPATCH_LEASE_MS must be a whole number/],
  ['SCHEDULE_SHARDS', '65', /SCHEDULE_SHARDS must be a whole number from 1 to 64/],
  ['LOG_LEVEL', 'loud', /LOG_LEVEL must be one of trace, debug, info, warn, error, silent/],
  ['LOG_FORMAT', 'xml', /LOG_FORMAT must be one of/],
  ['CURRENCY', 'JPY', /CURRENCY must be three capital letters of a currency with two decimals/],
  ['AUTH', 'on', /AUTH must be one of off/],
  ['AUTH_JWT_SECRET', 'a'.repeat(31), /AUTH_JWT_SECRET must have at least 32 characters\.$/],
  ['AUTH_JWKS_URL', 'ftp://keys', /AUTH_JWKS_URL must be a URL that begins with http:\/\/ or https:\/\//],
];
for (const [name, value, why] of WRONG) {
  test(`${name}=${value} is refused with one sentence that names the setting`, () => {
    const fault = faultOf({ [name]: value });
    assert.match(fault, why);
    assert.match(fault, /\.$/);
    assert.doesNotMatch(fault, /\n/);
  });
}

test('the error names all wrong values at once', () => {
  const fault = faultOf({ PORT: 'x', LOG_LEVEL: 'y', REDIS_URL: 'z' });
  for (const name of ['PORT', 'LOG_LEVEL', 'REDIS_URL']) assert.match(fault, new RegExp(`${name} must`));
});

const SECRET = 'a secret of at least 32 characters';
const KEYS = 'https://login.example/.well-known/jwks.json';

for (const host of ['0.0.0.0', '::', '192.168.1.7', 'example.com', '127.0.0.1.example.com']) {
  test(`listening on ${host} is refused unless authentication is configured or AUTH=off is set`, () => {
    assert.match(faultOf({ HOST: host }), /HOST is .*AUTH=off/);
    for (const meant of [{ AUTH: 'off' }, { AUTH_JWT_SECRET: SECRET }, { AUTH_JWKS_URL: KEYS }])
      assert.equal(readConfig({ HOST: host, ...meant }).HOST, host);
  });
}

for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1']) {
  test(`listening on ${host} needs no authentication`, () => {
    assert.equal(readConfig({ HOST: host }).HOST, host);
  });
}

test('the error shows neither the password of a wrong URL nor a secret that is too short', () => {
  assert.doesNotMatch(faultOf({ DATABASE_URL: 'mysql://me:s3cret@db/x' }), /s3cret/);
  assert.doesNotMatch(faultOf({ AUTH_JWT_SECRET: 's3cret' }), /s3cret/);
});

test('AUTH_JWT_SECRET together with AUTH_JWKS_URL is refused', () => {
  const fault = faultOf({ AUTH_JWT_SECRET: SECRET, AUTH_JWKS_URL: KEYS });
  assert.match(fault, /^AUTH_JWT_SECRET and AUTH_JWKS_URL are both set, .*\.$/);
});

test('the secret for tokens may stand in a file, with white space around it', () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'tiffin-')), 'secret');
  writeFileSync(file, `${SECRET}\n`);
  assert.equal(readConfig({ HOST: '0.0.0.0', AUTH_JWT_SECRET_FILE: file }).AUTH_JWT_SECRET, SECRET);
  writeFileSync(file, 's3cret\n');
  assert.match(
    faultOf({ AUTH_JWT_SECRET_FILE: file }),
    /^AUTH_JWT_SECRET must have at least 32 characters\.$/,
  );
  assert.match(
    faultOf({ AUTH_JWT_SECRET_FILE: `${file}-2` }),
    /^AUTH_JWT_SECRET_FILE names .* cannot be read/,
  );
  assert.match(faultOf({ AUTH_JWT_SECRET_FILE: file, AUTH_JWT_SECRET: SECRET }), /are both set/);
});

test('AUTH=off together with a secret or a key URL is refused', () => {
  assert.match(faultOf({ AUTH: 'off', AUTH_JWT_SECRET: SECRET }), /^AUTH is off, and AUTH_JWT_SECRET is set/);
  assert.match(faultOf({ AUTH: 'off', AUTH_JWKS_URL: KEYS }), /^AUTH is off, and AUTH_JWKS_URL is set/);
});

test('a demand on tokens is refused where no token is checked', () => {
  for (const name of ['AUTH_AUDIENCE', 'AUTH_ISSUER']) {
    const demand = { [name]: 'https://login.example' };
    assert.match(faultOf(demand), new RegExp(`^${name} is set, but .*\\.$`));
    assert.match(faultOf({ ...demand, AUTH: 'off' }), new RegExp(`^${name} is set`));
    assert.equal(readConfig({ ...demand, AUTH_JWKS_URL: KEYS }).AUTH_JWKS_URL, KEYS);
  }
});

test('a PORT of spaces is refused instead of read as 0', () => {
  assert.match(faultOf({ PORT: ' ' }), /PORT must be/);
});

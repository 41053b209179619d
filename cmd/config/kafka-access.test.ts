/** The settings of TLS and SASL for Kafka: the error names every fault of them, and shows no password. */
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { readConfig } from '../config.ts';

const BROKERS = { KAFKA_BROKERS: 'a:1' };
const FILE = path.join(mkdtempSync(path.join(tmpdir(), 'tiffin-')), 'file.pem');
writeFileSync(FILE, 'no certificate');
const USER = { KAFKA_USERNAME: 'tiffin', KAFKA_PASSWORD: 's3cret' };

function faultOf(env: Record<string, string>): string {
  try {
    readConfig(env);
  } catch (error) {
    return (error as Error).message;
  }
  return assert.fail('the settings were accepted');
}

for (const env of [
  { KAFKA_SSL: 'yes' },
  { KAFKA_SASL_MECHANISM: 'plain', ...USER },
  { KAFKA_SASL_MECHANISM: 'scram-sha-512', KAFKA_USERNAME: 'tiffin', KAFKA_PASSWORD_FILE: FILE },
  { KAFKA_SASL_MECHANISM: 'oauthbearer', KAFKA_TOKEN_COMMAND: 'cat token' },
  { KAFKA_SASL_MECHANISM: 'oauthbearer', KAFKA_TOKEN_URL: 'https://login.example/token', ...USER },
])
  test(`${Object.keys(env).join(', ')} are accepted together`, () => {
    assert.deepEqual(readConfig({ ...BROKERS, ...env }).KAFKA_BROKERS, ['a:1']);
  });

const FAULTS: readonly [env: Record<string, string>, faults: readonly RegExp[]][] = [
  [{ KAFKA_SASL_MECHANISM: 'plain' }, [/=plain needs KAFKA_USERNAME/, /=plain needs KAFKA_PASSWORD or/]],
  [{ KAFKA_SASL_MECHANISM: 'kerberos' }, [/must be one of plain, scram-sha-256, scram-sha-512, oauthbearer/]],
  [USER, [/KAFKA_USERNAME is set, but KAFKA_SASL_MECHANISM is not/, /KAFKA_PASSWORD is set, but/]],
  [
    { KAFKA_CA_FILE: FILE, KAFKA_KEY_FILE: FILE },
    [
      /KAFKA_CA_FILE is set, but KAFKA_SSL is not yes/,
      /of KAFKA_CERT_FILE and KAFKA_KEY_FILE only one is set/,
    ],
  ],
  [
    { KAFKA_SSL: 'yes', KAFKA_CA_FILE: `${FILE}-2`, KAFKA_SASL_MECHANISM: 'oauthbearer' },
    [/KAFKA_CA_FILE names '.*-2', which cannot be read/, /=oauthbearer needs one of KAFKA_TOKEN_URL and/],
  ],
  [
    { KAFKA_SSL: 'yes', KAFKA_CERT_FILE: FILE, KAFKA_KEY_FILE: FILE },
    [/KAFKA_CERT_FILE with KAFKA_KEY_FILE cannot be used \(/],
  ],
  [
    { KAFKA_SASL_MECHANISM: 'plain', ...USER, KAFKA_PASSWORD_FILE: FILE, KAFKA_TOKEN_COMMAND: 'echo s3cret' },
    [/KAFKA_PASSWORD and KAFKA_PASSWORD_FILE are both set/, /KAFKA_TOKEN_COMMAND is set, but KAFKA_SASL/],
  ],
  [
    { KAFKA_SASL_MECHANISM: 'oauthbearer', KAFKA_TOKEN_URL: 'https://login.example/token' },
    [/KAFKA_TOKEN_URL needs KAFKA_USERNAME/, /KAFKA_TOKEN_URL needs KAFKA_PASSWORD or/],
  ],
  [
    { KAFKA_SASL_MECHANISM: 'scram-sha-256', KAFKA_USERNAME: 'tiffin', KAFKA_PASSWORD_FILE: `${FILE}-3` },
    [/KAFKA_PASSWORD_FILE names '.*-3', which cannot be read/],
  ],
];
for (const [env, faults] of FAULTS)
  test(`${Object.entries(env).map(([name, value]) => `${name}=${path.basename(value)}`)} is refused with every fault in one sentence`, () => {
    const sentence = faultOf({ ...BROKERS, ...env });
    for (const fault of faults) assert.match(sentence, fault);
    assert.match(sentence, /^[^\n]+\.$/);
    assert.doesNotMatch(sentence, /s3cret/);
  });

test('access to Kafka is refused where there are no brokers', () => {
  const sentence = faultOf({ KAFKA_SASL_MECHANISM: 'plain', ...USER });
  for (const name of ['KAFKA_SASL_MECHANISM', 'KAFKA_USERNAME', 'KAFKA_PASSWORD'])
    assert.match(sentence, new RegExp(`${name} is set, but KAFKA_BROKERS is not`));
});

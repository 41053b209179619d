/** How the URL of the history in Cassandra is read, and what is said of one with faults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultsOfHistoryUrl, parseHistoryUrl } from './history-url.ts';

test('a URL has hosts, keyspace, data centre, login and TLS', () => {
  const { tls, ...read } = parseHistoryUrl(
    'cassandra://me:p%40s:s@a,b.example:9142/Tiffin?dc=dc1&sslmode=verify-full',
  );
  assert.deepEqual(read, {
    hosts: ['a', 'b.example:9142'],
    keyspace: 'tiffin',
    dataCentre: 'dc1',
    login: { username: 'me', password: 'p@s:s' },
  });
  assert.deepEqual(tls?.(), { rejectUnauthorized: true });
  assert.equal(parseHistoryUrl('cassandra://a/k?dc=dc1').tls, undefined);
});

const WRONG: readonly [url: string, fault: RegExp][] = [
  ['redis://a/k?dc=x', /^must be cassandra:\/\//],
  ['cassandra://a', /^must be cassandra:\/\//],
  ['cassandra://me@a/k?dc=x', /^must be cassandra:\/\//],
  ['cassandra://a/k?', /^names no data centre/],
  ["cassandra://a/k?dc=x'}", /^names the data centre/],
  ['cassandra://a:x/k?dc=x', /^has the host 'a:x'/],
  ['cassandra://a/1k?dc=x', /^has the keyspace '1k'/],
  [
    'cassandra://a/k?dc=x&sslmode=require',
    /^has sslmode=require, and Tiffin takes one of disable, verify-ca, verify-full$/,
  ],
  ['cassandra://a/k?dc=x&sslmode=verify-ca', /without sslrootcert/],
  [
    'cassandra://a/k?dc=x&sslcert=/none.pem&sslkey=/none.key',
    /^has sslcert=\/none.pem, which cannot be read \(ENOENT\)$/,
  ],
  ['cassandra://a/k?dc=x&tls=yes', /^has tls, and Tiffin knows dc, /],
];

for (const [url, fault] of WRONG)
  test(`${url} is refused`, () => {
    assert.match(faultsOfHistoryUrl(url)[0] ?? '', fault);
  });

test('every fault is named, and no password', () => {
  const faults = faultsOfHistoryUrl('cassandra://me:s3cret@a:x/1k?sslkey=/none.key');
  assert.equal(faults.length, 5);
  assert.doesNotMatch(faults.join(), /s3cret/);
});

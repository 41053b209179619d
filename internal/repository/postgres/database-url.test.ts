/** How a Postgres URL is read, and what is said of one with faults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultsOfDatabaseUrl, parseDatabaseUrl } from './database-url.ts';

const READ: readonly [url: string, hosts: string, wanted: string, tls: string, plain: string][] = [
  ['postgres://u:p@db/x', 'db:5432', 'any', 'none', 'postgres://u:p@db:5432/x'],
  ['postgresql://a:1,b,[::1]:3/x', 'a:1 b:5432 ::1:3', 'read-write', 'none', 'postgres://a:1/x'],
  [
    'postgres://u:p%40@a,b/x?target_session_attrs=primary&application_name=me',
    'a:5432 b:5432',
    'primary',
    'none',
    'postgres://u:p%40@a:5432/x?application_name=me',
  ],
  [
    'postgres:///x?host=a,b&port=6432&sslmode=prefer',
    'a:6432 b:6432',
    'read-write',
    'optional',
    'postgres://a:6432/x',
  ],
  [
    'postgres:///x?host=/run/postgresql',
    '/run/postgresql:5432',
    'any',
    'none',
    'postgres://%2Frun%2Fpostgresql:5432/x',
  ],
  ['postgres://u:a@b@c/x?sslmode=require', 'c:5432', 'any', 'required', 'postgres://u:a@b@c:5432/x'],
];

for (const [url, hosts, wanted, tls, plain] of READ)
  test(`${url} is read as libpq reads it`, () => {
    const read = parseDatabaseUrl(url);
    assert.deepEqual(
      [read.hosts.map(({ host, port }) => `${host}:${port}`).join(' '), read.wanted, read.tls, read.plain],
      [hosts, wanted, tls, plain],
    );
    assert.equal(read.database, 'x');
  });

test('every fault of a URL is named, and no password', () => {
  const faults = faultsOfDatabaseUrl(
    'postgres://u:s3cret@a:0,:5432,c:x/db?target_session_attrs=standby&sslmode=verify-ca&sslcert=/none/a.pem',
  );
  assert.deepEqual(faults, [
    "has the port '0', which is not a number from 1 to 65535",
    'has an empty host name',
    "has the port 'x', which is not a number from 1 to 65535",
    'has target_session_attrs=standby, and Tiffin takes one of any, primary, read-write',
    'has sslmode=verify-ca without sslrootcert, the file of the authority to trust',
    'has only one of sslcert and sslkey; a client certificate needs both',
    'has sslcert=/none/a.pem, which cannot be read (ENOENT)',
  ]);
});

const WRONG: readonly [parameters: string, fault: RegExp][] = [
  [
    'sslmode=allow',
    /^has sslmode=allow, and Tiffin takes one of disable, prefer, require, verify-ca, verify-full$/,
  ],
  ['sslmode=disable&sslrootcert=system', /^has sslmode=disable and names certificates$/],
  ['sslmode=require&sslrootcert=system', /^has sslrootcert=system with sslmode=require; /],
  ['host=a,b,c&port=1,2', /^has 3 hosts and 2 ports$/],
];

for (const [parameters, fault] of WRONG)
  test(`a URL with ${parameters} is refused`, () => {
    assert.match(faultsOfDatabaseUrl(`postgres://a/x?${parameters}`)[0] ?? '', fault);
  });

for (const url of ['mysql://a/x', 'a:5432', 'postgres://a/%zz', 'postgres://u:%zz@a/x?y'])
  test(`${url} is no Postgres URL`, () => {
    assert.match(faultsOfDatabaseUrl(url)[0] ?? '', /^must be a URL that begins with postgres:\/\//);
  });

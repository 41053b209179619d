/** TLS to Postgres: each sslmode against servers with a certificate, with another authority's, and without TLS. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { migrateDatabase, openPool } from '../../internal/repository/postgres/database.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-tls-'));
const file = (name: string) => path.join(dir, name);

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { cwd: dir, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

/** A certificate `<name>.crt` with its key `<name>.key`, signed by an authority or by itself. */
function certificate(name: string, subject: string, authority?: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
  const signer = authority ? ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`] : [];
  const alternative = authority ? ['-addext', `subjectAltName=DNS:${subject}`] : [];
  openssl(
    'req',
    '-x509',
    ...key,
    '-subj',
    `/CN=${subject}`,
    '-days',
    '2',
    ...signer,
    ...alternative,
    '-out',
    `${name}.crt`,
  );
}

describe('TLS to Postgres', { timeout: 120_000 }, () => {
  let secure: OwnPostgres;
  let plain: OwnPostgres;

  before(async () => {
    certificate('ca', 'authority');
    certificate('other-ca', 'other authority');
    certificate('server', 'localhost', 'ca');
    certificate('client', 'tiffin', 'ca');
    [secure, plain] = await Promise.all([startOwnPostgres(), startOwnPostgres()]);
    for (const name of ['server.crt', 'server.key', 'ca.crt'])
      secure.write(name, fs.readFileSync(file(name), 'utf8'));
    await secure.query('CREATE DATABASE by_certificate');
    const rules =
      'hostssl by_certificate tiffin all cert\nhostssl all all all scram-sha-256\nhostnossl all all all reject\n';
    secure.write('pg_hba.conf', rules);
    for (const [name, value] of Object.entries({ ssl: 'on', ssl_ca_file: 'ca.crt' }))
      secure.write(
        'postgresql.auto.conf',
        `${fs.readFileSync(path.join(secure.dir, 'postgresql.auto.conf'))}${name} = '${value}'\n`,
      );
    await secure.kill();
    await secure.start();
  });
  after(async () => {
    await Promise.all([secure.stop(), plain.stop()]);
    fs.rmSync(dir, { recursive: true, force: true });
  });

  /** How a connection ended: whether it was encrypted, or the fault. */
  async function outcome(server: OwnPostgres, host: string, parameters: string): Promise<string> {
    const url = new URL(server.url);
    url.hostname = host;
    return outcomeOf(`${url}${parameters}`);
  }

  async function outcomeOf(url: string): Promise<string> {
    const pool = openPool(url, { max: 2, onError: () => {} });
    try {
      const { rows } = await pool.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
      return rows[0].ssl ? 'encrypted' : 'plain';
    } catch (error) {
      return ((error as Error).cause as Error).message;
    } finally {
      await pool.end();
    }
  }

  const ca = `sslrootcert=${file('ca.crt')}`;
  const otherCa = `sslrootcert=${file('other-ca.crt')}`;
  const login = `sslcert=${file('client.crt')}&sslkey=${file('client.key')}`;
  const CASES: readonly [
    what: string,
    server: 'secure' | 'plain',
    host: string,
    parameters: string,
    RegExp,
  ][] = [
    [
      'verify-full trusts the authority and the host name',
      'secure',
      'localhost',
      `?sslmode=verify-full&${ca}`,
      /^encrypted$/,
    ],
    ['an authority without a mode is verify-full', 'secure', '127.0.0.1', `?${ca}`, /altnames/],
    [
      'verify-full refuses another host name',
      'secure',
      '127.0.0.1',
      `?sslmode=verify-full&${ca}`,
      /altnames/,
    ],
    [
      'verify-full refuses another authority',
      'secure',
      'localhost',
      `?sslmode=verify-full&${otherCa}`,
      /certificate/,
    ],
    [
      'verify-full trusts no authority of its own making',
      'secure',
      'localhost',
      '?sslmode=verify-full',
      /certificate/,
    ],
    [
      'verify-full refuses a server without TLS',
      'plain',
      'localhost',
      `?sslmode=verify-full&${ca}`,
      /does not support SSL/,
    ],
    [
      'verify-ca does not look at the host name',
      'secure',
      '127.0.0.1',
      `?sslmode=verify-ca&${ca}`,
      /^encrypted$/,
    ],
    [
      'verify-ca refuses another authority',
      'secure',
      'localhost',
      `?sslmode=verify-ca&${otherCa}`,
      /certificate/,
    ],
    ['require encrypts and trusts everybody', 'secure', '127.0.0.1', '?sslmode=require', /^encrypted$/],
    [
      'require with an authority is verify-ca',
      'secure',
      '127.0.0.1',
      `?sslmode=require&${otherCa}`,
      /certificate/,
    ],
    [
      'require refuses a server without TLS',
      'plain',
      '127.0.0.1',
      '?sslmode=require',
      /does not support SSL/,
    ],
    ['prefer encrypts where it can', 'secure', '127.0.0.1', '?sslmode=prefer', /^encrypted$/],
    ['prefer does without where it must', 'plain', '127.0.0.1', '?sslmode=prefer', /^plain$/],
    ['disable does without', 'plain', '127.0.0.1', '?sslmode=disable', /^plain$/],
    ['without a mode there is no TLS, which this server refuses', 'secure', 'localhost', '', /no encryption/],
  ];
  for (const [what, server, host, parameters, expected] of CASES)
    it(what, async () => {
      assert.match(await outcome(server === 'secure' ? secure : plain, host, parameters), expected);
    });

  it('a client certificate logs in where the server asks for one', async () => {
    const { port } = new URL(secure.url);
    const url = `postgres://tiffin@localhost:${port}/by_certificate?sslmode=verify-full&${ca}`;
    assert.equal(await outcomeOf(`${url}&${login}`), 'encrypted');
    assert.match(await outcomeOf(url), /requires a valid client certificate/);
  });

  it('while a file is missing, because it is being replaced, no connection is made, and afterwards it is', async () => {
    const { port } = new URL(secure.url);
    fs.copyFileSync(file('ca.crt'), file('renewed.crt'));
    const url = `postgres://tiffin:tiffin@localhost:${port}/tiffin?sslmode=verify-full&sslrootcert=${file('renewed.crt')}`;
    const pool = openPool(url, { max: 1, onError: () => {} });
    try {
      fs.renameSync(file('renewed.crt'), file('renewing.crt'));
      // The second one waits for the only place in the pool, and so is opened by the pool itself when the first fails.
      for (const asked of await Promise.allSettled([pool.query('SELECT 1'), pool.query('SELECT 1')])) {
        assert.equal(asked.status, 'rejected');
        assert.deepEqual([asked.reason.code, asked.reason.cause.code], ['UNAVAILABLE', 'ENOENT']);
      }
      fs.renameSync(file('renewing.crt'), file('renewed.crt'));
      assert.equal((await pool.query('SELECT 1 AS one')).rows[0].one, 1);
    } finally {
      await pool.end();
    }
  });

  it('of two hosts the one is taken whose certificate is right', async () => {
    const { port } = new URL(secure.url);
    const hosts = `127.0.0.1:${port},localhost:${port}`;
    assert.equal(
      await outcomeOf(`postgres://tiffin:tiffin@${hosts}/tiffin?sslmode=verify-full&${ca}`),
      'encrypted',
    );
  });

  it('a start with a wrong authority ends with one sentence', async () => {
    const { port } = new URL(secure.url);
    await assert.rejects(
      migrateDatabase(`postgres://tiffin:tiffin@localhost:${port}/tiffin?sslmode=verify-full&${otherCa}`),
      /^TiffinError: The database tiffin at localhost:\d+ cannot be reached: [^\n]*certificate[^\n]*; is DATABASE_URL right\?$/,
    );
  });
});

/** A Redis that is reached over TLS, with a certificate of the client, as a user with a password, and in a database of its own. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import getPort from 'get-port';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { type Authority, authority } from '../support/certificates.ts';
import { type OwnRedis, startRedis } from '../support/own-redis.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { recordingLog } from '../support/recording-log.ts';
import { freshDatabase } from '../support/servers.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';

describe('a Redis with TLS and users', { skip: !hasNativeRedis() && 'there is no redis-server' }, () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'tiffin-tls-'));
  let redis: OwnRedis;
  let own: Authority;
  let client: ReturnType<Authority['sign']>;
  let server: ReturnType<Authority['sign']>;
  let url: string;
  const startSecure = (...options: string[]) =>
    startRedis(
      [
        ...options,
        ...['--tls-cert-file', server.cert, '--tls-key-file', server.key, '--tls-ca-cert-file', own.file],
      ],
      { tls: { ca: readFileSync(own.file), cert: readFileSync(client.cert), key: readFileSync(client.key) } },
    );

  before(async () => {
    own = authority(dir, 'authority');
    server = own.sign('server');
    client = own.sign('client');
    redis = await startSecure();
    await redis.call('ACL', 'SETUSER', 'tiffin', 'on', '>p@ss/word', '~*', '&*', '+@all', '-@admin');
    await redis.call('ACL', 'SETUSER', 'default', 'resetkeys');
    url = redis.url.replace('//', '//tiffin:p%40ss%2Fword@');
  });
  after(async () => {
    await redis.stop();
    rmSync(dir, { recursive: true });
  });

  const files = () => ({ ca: own.file, cert: client.cert, key: client.key });

  it('the program works with the CA, the certificate, the user and the database number of its settings', async () => {
    const database = await freshDatabase();
    let program: Program | undefined;
    try {
      program = await startProgram({
        DATABASE_URL: database.url,
        REDIS_URL: `${url}/5`,
        REDIS_CA_FILE: own.file,
        REDIS_CERT_FILE: client.cert,
        REDIS_KEY_FILE: client.key,
      });
      const body = { id: 'one', customer_name: 'Asha', total_price: 5 };
      assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);
      await reaches(program.url, 'one', 'COMPLETED');
      await until('the view', async () => {
        const shown = await request('GET', `${program?.url}/ui/orders/one`);
        return shown.body.status === 'COMPLETED';
      });
      assert.match(String(await redis.call('INFO', 'keyspace')), /^db5:/m);
      assert.doesNotMatch(String(await redis.call('INFO', 'keyspace')), /^db0:/m);
    } finally {
      await program?.kill();
      await database.drop();
    }
  });

  const refused: Readonly<Record<string, () => [url: string, files: object, why: RegExp]>> = {
    'another authority': () => [url, { ...files(), ca: authority(dir, 'other').file }, /certificate/],
    'no certificate of the client': () => [url, { ca: own.file }, /certificate|ECONNRESET|closed|alert/i],
    'a wrong password': () => [url.replace('p%40ss', 'wrong'), files(), /WRONGPASS/],
    'no TLS': () => [url.replace('rediss', 'redis'), {}, /ECONNRESET|closed|EPIPE|handshake|EOF/i],
  };
  for (const [what, given] of Object.entries(refused))
    it(`with ${what} every command is refused, and the log says why once`, async () => {
      const [address, its, why] = given();
      const log = recordingLog();
      const refusedOne = openRedis(address, log, its);
      try {
        await assert.rejects(refusedOne.set('key', 'value'));
        await until('the reason', () => log.at('warn').length > 0, 5_000);
        assert.match(String(log.at('warn')[0]?.fields.error), why);
      } finally {
        refusedOne.disconnect();
      }
    });

  it('a node of a Redis Cluster is reached over TLS as a user', async () => {
    const bus = String(await getPort({ host: '127.0.0.1' }));
    const announced = ['--cluster-port', bus, '--cluster-announce-ip', '127.0.0.1'];
    const node = await startSecure('--cluster-enabled', 'yes', '--tls-cluster', 'yes', ...announced);
    await node.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await node.call('ACL', 'SETUSER', 'tiffin', 'on', '>p@ss', '~*', '&*', '+@all', '-@admin');
    await node.call('ACL', 'SETUSER', 'default', 'resetkeys');
    const login = node.url.replace('rediss://', 'rediss+cluster://tiffin:p%40ss@');
    const opened = openRedis(login, recordingLog(), files());
    try {
      await until('the connection', () => opened.status === 'ready');
      assert.equal(await opened.set('key', 'value'), 'OK');
    } finally {
      opened.disconnect();
      await node.stop();
    }
  });

  it('a primary is found through a Sentinel over TLS, and its database is used', async () => {
    const sentinel = await startSecure('--sentinel');
    await sentinel.call('SENTINEL', 'MONITOR', 'main', '127.0.0.1', new URL(redis.url).port, '1');
    const login = sentinel.url.replace('rediss://', 'rediss+sentinel://tiffin:p%40ss%2Fword@');
    const opened = openRedis(`${login}/main/7`, recordingLog(), files());
    try {
      await until('the connection', () => opened.status === 'ready');
      assert.equal(await opened.set('key', 'value'), 'OK');
      assert.match(String(await redis.call('INFO', 'keyspace')), /^db7:/m);
    } finally {
      opened.disconnect();
      await sentinel.stop();
    }
  });

  it('a renewed certificate is used by the next connection, and a file that is missing for a moment is no fault', async () => {
    const renewed = path.join(dir, 'renewed.pem');
    const opened = openRedis(url, recordingLog(), { ...files(), ca: renewed });
    try {
      await assert.rejects(opened.ping());
    } finally {
      opened.disconnect();
    }
    const one = authority(dir, 'renewed-authority');
    renameSync(one.file, renewed);
    const again = openRedis(url, recordingLog(), { ...files(), ca: renewed });
    const reconnected = () => new Promise((resolve) => again.once('ready', resolve));
    try {
      await assert.rejects(again.ping());
      renameSync(own.file, `${own.file}.new`);
      renameSync(`${own.file}.new`, renewed);
      await reconnected();
      rmSync(renewed);
      const next = reconnected();
      again.disconnect(true);
      await next;
      assert.equal(await again.ping(), 'PONG');
    } finally {
      again.disconnect();
    }
  });
});

/** The addresses of Redis: what each form says, and every fault of a malformed one, without a word of its password. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressFaults, redisAddress } from './address.ts';

const LOCAL = { host: '127.0.0.1', port: 6379 };
const SERVER = { kind: 'server', isTls: false, hosts: [LOCAL], db: 0, name: '' };

const RIGHT: Readonly<Record<string, object>> = {
  'redis://127.0.0.1': SERVER,
  'redis://127.0.0.1/': SERVER,
  'redis://127.0.0.1:7000/3': { ...SERVER, hosts: [{ host: '127.0.0.1', port: 7_000 }], db: 3 },
  'redis://127.0.0.1?db=3': { ...SERVER, db: 3 },
  'rediss://tiffin:p%40ss@cache.example:6380/1': {
    ...SERVER,
    isTls: true,
    hosts: [{ host: 'cache.example', port: 6_380 }],
    username: 'tiffin',
    password: 'p@ss',
    db: 1,
  },
  'redis://:secret@127.0.0.1': { ...SERVER, password: 'secret' },
  'REDIS://[::1]:7000': { ...SERVER, hosts: [{ host: '::1', port: 7_000 }] },
  'redis+cluster://tiffin:a:b@a:1,b:2,c': {
    kind: 'cluster',
    isTls: false,
    hosts: [
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
      { host: 'c', port: 6_379 },
    ],
    username: 'tiffin',
    password: 'a:b',
    db: 0,
    name: '',
  },
  'rediss+cluster://a/0': { ...SERVER, kind: 'cluster', isTls: true, hosts: [{ host: 'a', port: 6_379 }] },
  'rediss+sentinel://u:p@a,b:7/my.master/2?sentinel_user=s&sentinel_password=%26': {
    kind: 'sentinel',
    isTls: true,
    hosts: [
      { host: 'a', port: 26_379 },
      { host: 'b', port: 7 },
    ],
    username: 'u',
    password: 'p',
    db: 2,
    name: 'my.master',
    sentinelUsername: 's',
    sentinelPassword: '&',
  },
  'redis+sentinel://127.0.0.1:6379/main?db=9': { ...SERVER, kind: 'sentinel', db: 9, name: 'main' },
};

for (const [url, address] of Object.entries(RIGHT))
  test(`${url} is read`, () => {
    const given = Object.entries(redisAddress(url)).filter(([, value]) => value !== undefined);
    assert.deepEqual(Object.fromEntries(given), address);
  });

const WRONG: Readonly<Record<string, readonly RegExp[]>> = {
  '': [/must begin with redis:\/\/ or rediss:\/\/ or redis\+sentinel/],
  'http://cache': [/must begin with/],
  'redis+proxy://cache': [/must begin with/],
  'redis://': [/must not leave the host empty/],
  'redis://a,b': [/must have one host, since several need/],
  'redis://a:0': [/must have a port from 1 to 65535 at the host/],
  'redis://a:1:2': [/must have a name or an address as the host/],
  'redis://s3cret@a': [/must have a password after the user/],
  'redis://u:s3cret%@a': [/must write the character % of the password as %25/],
  'redis://u:s3cret#more@a': [/must write the character # as %23/, /name or an address/],
  'redis://u:s3cret/more@a/1': [/name or an address as the host/, /must end after/, /digits as the database/],
  'redis://a/x': [/must have digits as the database number/],
  'redis://a/1/2': [/must end after the database number/],
  'redis://a/1?db=2': [/must have the database number once, not twice/],
  'redis://a?db=1&db=2&family=6': [/must have db only once/, /must have no parameters other than db$/],
  'redis+cluster://a:99999,,c!d/3': [
    /port from 1 to 65535 at host 1/,
    /must not leave host 2 empty/,
    /a name or an address as host 3/,
    /must have no database number, since a Redis Cluster has only one database/,
  ],
  'redis+cluster://a?db=1': [/must have no database number/],
  'redis+sentinel://a,b': [/must have the name of the primary after the Sentinels/],
  'redis+sentinel://a/two words?user=x': [
    /other than db, sentinel_user,/,
    /must have the name of the primary/,
  ],
};

for (const [url, faults] of Object.entries(WRONG))
  test(`'${url}' is refused for each of its faults`, () => {
    assert.throws(
      () => redisAddress(url),
      (error) => {
        assert.ok(error instanceof AddressFaults);
        assert.equal(error.faults.length, faults.length, error.message);
        for (const [index, fault] of faults.entries()) assert.match(error.faults[index] as string, fault);
        assert.doesNotMatch(error.message, /s3cret|more/);
        return true;
      },
    );
  });

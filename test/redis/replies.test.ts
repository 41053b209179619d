/** Error replies of each Redis: a mistake of Tiffin is thrown as it is, and the server's own state as UNAVAILABLE. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Redis, ReplyError } from 'ioredis';
import { TiffinError } from '../../internal/domain/errors.ts';
import { asUnavailable } from '../../internal/repository/redis/connection.ts';
import { freshRedis, redisServers } from '../support/servers.ts';

const MISTAKES: Record<string, (string | number)[]> = {
  'a key of another type': ['LPUSH', 'text', 1],
  'a key of another type in a script': ['EVAL', "return redis.call('LPUSH', 'text', 1)", 0],
  'too few arguments': ['GET'],
  'an unknown option': ['SET', 'text', 1, 'SOMETIMES'],
  'an unknown command': ['FETCH', 'text'],
  'a score that is no number': ['ZADD', 'set', 'soon', 'member'],
  'a script that does not compile': ['EVAL', 'return return', 0],
  'a script that indexes nothing': ['EVAL', 'local nothing; return nothing.at', 0],
  'a script that reads an unknown global': ['EVAL', 'return nothing', 0],
};

const STATES = [
  'MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist to disk.',
  'NOREPLICAS Not enough good replicas to write.',
  "NOPERM this user has no permissions to run the 'zadd' command",
  'WRONGPASS invalid username-password pair or user is disabled.',
  'NOAUTH Authentication required.',
  "OOM command not allowed when used memory > 'maxmemory'.",
  "READONLY You can't write against a read only replica.",
  'MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to no.',
  'LOADING Redis is loading the dataset in memory',
  'BUSY Redis is busy running a script.',
  'CLUSTERDOWN The cluster is down',
];
/** As Redis 6 reports the reply to a command in a script. */
const wrapped = (reply: string) => `ERR Error running script (call to f_0): @user_script:1: ${reply}`;

for (const { name } of redisServers())
  describe(`the error replies of ${name}`, () => {
    let server: Awaited<ReturnType<typeof freshRedis>>;
    let redis: Redis;
    before(async () => {
      server = await freshRedis(name);
      redis = new Redis(server.url);
      await redis.set('text', 'x');
    });
    after(async () => {
      redis.disconnect();
      await server.drop();
    });
    const faultOf = (command: string, ...args: (string | number)[]) =>
      asUnavailable(redis.call(command, ...args)).then(
        () => undefined,
        (error: unknown) => error,
      );
    const replyOf = (text: string) => faultOf('EVAL', 'return redis.error_reply(ARGV[1])', 0, text);
    const isMistake = (fault: unknown) => fault instanceof ReplyError;
    const isState = (fault: unknown) => fault instanceof TiffinError && fault.code === 'UNAVAILABLE';

    for (const [what, [command, ...args]] of Object.entries(MISTAKES))
      it(`${what} is a mistake`, async () => {
        const fault = await faultOf(command as string, ...args);
        assert.ok(isMistake(fault), String(fault));
        assert.ok(isMistake(await replyOf(wrapped((fault as Error).message))), 'wrapped');
      });

    for (const reply of STATES)
      it(`${reply.split(' ')[0]} is a state of the server`, async () => {
        assert.ok(isState(await replyOf(reply)), 'as it is');
        assert.ok(isState(await replyOf(wrapped(reply))), 'wrapped');
      });
  });

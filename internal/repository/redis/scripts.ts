/** Lua scripts, run by their hash and loaded where the server does not know them yet. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';

export interface Script {
  readonly source: string;
  readonly sha: string;
}

/** `name` is relative to this file. */
export function script(name: string): Script {
  const source = readFileSync(new URL(name, import.meta.url), 'utf8');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

export async function run(
  redis: Redis,
  { source, sha }: Script,
  keys: string[],
  args: (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!isUnknown(error)) throw error;
    return redis.eval(source, keys.length, ...keys, ...args);
  }
}

/** Runs a script for each of many, in one round trip; the first fault fails them all. */
export async function runAll(
  redis: Redis,
  { source, sha }: Script,
  calls: readonly { keys: string[]; args: (string | number)[] }[],
): Promise<unknown[]> {
  const ask = () =>
    redis.pipeline(calls.map(({ keys, args }) => ['evalsha', sha, keys.length, ...keys, ...args])).exec();
  let results = (await ask()) ?? [];
  if (results.some(([error]) => isUnknown(error))) {
    await redis.script('LOAD', source);
    results = (await ask()) ?? [];
  }
  for (const [error] of results) if (error) throw error;
  return results.map(([, answer]) => answer);
}

function isUnknown(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}

/** Looks for texts in every column of every table, found through the catalogue, and in every key of a Redis. */
import type { Redis } from 'ioredis';
import type pg from 'pg';

/** The tables and keys that hold one of the texts, each named with the text. */
export async function tracesOf(texts: readonly string[], pool: pg.Pool, redis?: Redis): Promise<string[]> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `SELECT oid::regclass::text AS name FROM pg_class
      WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    for (const text of texts) {
      const query = `SELECT count(*)::int AS rows FROM ${name} t WHERE strpos(lower(to_jsonb(t)::text), lower($1)) > 0`;
      const { rows } = await pool.query(query, [text]);
      if (rows[0].rows > 0) found.push(`${name}: ${text}`);
    }
  }
  for (const key of (await redis?.keys('*')) ?? []) {
    const content = `${key} ${await contentOf(redis as Redis, key)}`.toLowerCase();
    for (const text of texts) if (content.includes(text.toLowerCase())) found.push(`Redis ${key}: ${text}`);
  }
  return found.sort();
}

async function contentOf(redis: Redis, key: string): Promise<string> {
  switch (await redis.type(key)) {
    case 'string':
      return (await redis.get(key)) ?? '';
    case 'list':
      return (await redis.lrange(key, 0, -1)).join(' ');
    case 'zset':
      return (await redis.zrange(key, '0', '-1')).join(' ');
    case 'hash':
      return JSON.stringify(await redis.hgetall(key));
    case 'set':
      return (await redis.smembers(key)).join(' ');
    default:
      return '';
  }
}

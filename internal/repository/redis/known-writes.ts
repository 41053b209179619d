/** Remembers what this process has written to each shard of the due queue, so that Redis cannot lose it unnoticed. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The first element of each script's reply: count_write of count-write.lua. */
export type WriteReply = [lost: number, generation: number, writes: number];

const COUNT_WRITE = readScript('count-write.lua');

/** A script that begins with count-write.lua. */
export function countingScript(file: string): { lua: string; numberOfKeys: number } {
  return { lua: COUNT_WRITE + readScript(file), numberOfKeys: 2 };
}

function readScript(file: string): string {
  return readFileSync(new URL(`./${file}`, import.meta.url), 'utf8');
}

export interface KnownWrites {
  /** The script's arguments: this process, the generation and the number of its writes that Redis has confirmed. */
  of(shard: number): [process: string, generation: number, writes: number];
  learn(shard: number, reply: WriteReply): void;
  /** The greatest generation of the shard that this process has known. */
  greatest(shard: number): number;
  /** How often Redis had lost a write of this process. */
  losses(): number;
}

/** Every set has fewer writes than this, so the next script finds that it has lost some; Lua's numbers are doubles. */
const MORE_THAN_ANY = Number.MAX_SAFE_INTEGER;
/** Replies that arrive in another order differ by less than this: the commands that are under way at a time. */
const LATEST = 1_000;

interface Known {
  readonly generation: number;
  /** The greatest number of a write that Redis has confirmed. */
  readonly writes: number;
  /** The latest numbers that were given. */
  readonly given: Set<number>;
  readonly greatest: number;
}

export function knownWrites(shards: number): KnownWrites {
  const process = `process:${randomUUID()}`;
  const known = Array.from(
    { length: shards },
    (): Known => ({ generation: 0, writes: 0, given: new Set(), greatest: 0 }),
  );
  const entry = (shard: number) => known[shard] as Known;
  let losses = 0;

  function isRepeated(given: Set<number>, writes: number): boolean {
    if (given.has(writes)) return true;
    given.add(writes);
    const [oldest] = given.size > LATEST ? given : [];
    if (oldest !== undefined) given.delete(oldest);
    return false;
  }

  return {
    of: (shard) => [process, entry(shard).generation, entry(shard).writes],
    learn(shard, [lost, generation, writes]) {
      const old = entry(shard);
      const greatest = Math.max(old.greatest, generation);
      if (lost) losses += 1;
      if (lost || generation > old.generation) {
        known[shard] = { generation, writes, given: new Set([writes]), greatest };
        return;
      }
      // A reply that was sent before another process began a generation may arrive late.
      if (generation < old.generation) return;
      // A number is given twice if the first write is lost. The script does not notice it when the second one was sent before
      // the first was confirmed: by ioredis once more, after its server had died.
      const newest = isRepeated(old.given, writes) ? MORE_THAN_ANY : Math.max(old.writes, writes);
      known[shard] = { ...old, writes: newest };
    },
    greatest: (shard) => entry(shard).greatest,
    losses: () => losses,
  };
}

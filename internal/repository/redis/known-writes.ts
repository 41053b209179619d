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

export function knownWrites(shards: number): KnownWrites {
  const process = `process:${randomUUID()}`;
  const known = Array.from({ length: shards }, () => ({ generation: 0, writes: 0, greatest: 0 }));
  const entry = (shard: number) => known[shard] as (typeof known)[number];
  let losses = 0;
  return {
    of: (shard) => [process, entry(shard).generation, entry(shard).writes],
    learn(shard, [lost, generation, writes]) {
      const old = entry(shard);
      if (lost) losses += 1;
      // A reply that was sent before another process began a generation may arrive late.
      const isNews = generation > old.generation || (generation === old.generation && writes > old.writes);
      const greatest = Math.max(old.greatest, generation);
      known[shard] = lost || isNews ? { generation, writes, greatest } : old;
    },
    greatest: (shard) => entry(shard).greatest,
    losses: () => losses,
  };
}

/** Watches how full the memory of a Redis is, and warns before it refuses writes. */
import type { Cluster, Redis } from 'ioredis';
import type { Log } from '../../service/ports.ts';
import { serversOf } from './connection.ts';

/** Age at which a reading is repeated. */
const READ_EVERY_MS = 5_000;
/** Share of the memory from which on there is a warning, and from which on views are kept only briefly. */
const WARN_FROM = 0.8;
const NEARLY_FULL_FROM = 0.9;

export interface Memory {
  readonly usedBytes: number;
  /** 0 if there is no limit. */
  readonly limitBytes: number;
  /** Share of the limit that is used; 0 if a full Redis evicts, or if there is no limit. */
  readonly share: number;
}

export interface MemoryWatch {
  /** A reading that is at most a few seconds old; undefined if Redis does not give it. */
  read(): Promise<Memory | undefined>;
  isNearlyFull(): Promise<boolean>;
}

export function watchMemory(redis: Redis | Cluster, log: Log): MemoryWatch {
  let readAt = Number.NEGATIVE_INFINITY;
  let last: Promise<Memory | undefined> = Promise.resolve(undefined);
  let isWarned = false;

  async function ask(): Promise<Memory | undefined> {
    const servers = serversOf(redis).map(async (server) =>
      memoryOf(await server.info('memory').catch(() => '')),
    );
    const memory = fullest(await Promise.all(servers));
    const isFilling = memory !== undefined && memory.share >= WARN_FROM;
    if (isFilling && !isWarned) {
      const percent = Math.round(memory.share * 100);
      log.warn(
        { usedBytes: memory.usedBytes, limitBytes: memory.limitBytes },
        `the memory of Redis is ${percent}% full; when it is full, orders can no longer be scheduled`,
      );
    }
    isWarned = isFilling;
    return memory;
  }

  function read(): Promise<Memory | undefined> {
    if (performance.now() - readAt >= READ_EVERY_MS) {
      readAt = performance.now();
      last = ask();
    }
    return last;
  }

  return { read, isNearlyFull: async () => ((await read())?.share ?? 0) >= NEARLY_FULL_FROM };
}

/** Of the nodes of a cluster, the one that is first full: it holds shards of the schedule, and stops them. */
function fullest(memories: readonly (Memory | undefined)[]): Memory | undefined {
  const byNeed = (a: Memory, b: Memory) => b.share - a.share || b.usedBytes - a.usedBytes;
  return memories.filter((memory) => memory !== undefined).sort(byNeed)[0];
}

function memoryOf(info: string): Memory | undefined {
  const field = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1];
  const used = field('used_memory');
  if (used === undefined) return undefined;
  const [usedBytes, limitBytes] = [Number(used), Number(field('maxmemory') ?? 0)];
  const isBounded = limitBytes > 0 && (field('maxmemory_policy') ?? 'noeviction') === 'noeviction';
  return { usedBytes, limitBytes, share: isBounded ? usedBytes / limitBytes : 0 };
}

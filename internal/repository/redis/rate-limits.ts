/** Counts requests in Redis, for all processes together; while Redis is away, each process counts its own. */
import { createHash } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { Log, RateLimits } from '../../service/ports.ts';
import { within } from '../../service/time-limit.ts';

export interface RateLimitOptions {
  readonly prefix: string;
  /** Requests of one principal or address within the window. */
  readonly limit: number;
  readonly windowS: number;
}

/** A request does not wait longer for Redis. */
const REDIS_LIMIT_MS = 250;
/** How long Redis is not asked after it did not answer, ms. */
const AWAY_MS = 1_000;

export function redisRateLimits(
  redis: Redis | Cluster,
  log: Log,
  { prefix, limit: points, windowS: duration }: RateLimitOptions,
): RateLimits {
  const shared = new RateLimiterRedis({
    storeClient: redis,
    keyPrefix: `${prefix}:rate`,
    points,
    duration,
    rejectIfRedisNotReady: true,
    // One who sends too much is refused without asking Redis again.
    inMemoryBlockOnConsumed: points + 1,
  });
  const own = new RateLimiterMemory({ points, duration });
  let awayUntil = 0;
  let isAway = false;

  async function count(key: string): Promise<Count> {
    if (performance.now() >= awayUntil) {
      try {
        const count = await within(REDIS_LIMIT_MS, taken(shared.consume(key)), 'Redis');
        isAway = false;
        return count;
      } catch (error) {
        if (!isAway) log.warn({ err: error }, 'Redis is unavailable; each process limits requests by itself');
        isAway = true;
        awayUntil = performance.now() + AWAY_MS;
      }
    }
    return taken(own.consume(key));
  }

  return {
    async take(who) {
      // Subjects and addresses are hashed: they may hold anything, and Redis need not know them.
      const key = createHash('sha256').update(who).digest('base64url').slice(0, 22);
      const { remainingPoints, msBeforeNext, isOver } = await count(key);
      return {
        limit: points,
        windowS: duration,
        remaining: remainingPoints,
        resetS: Math.max(1, Math.ceil(msBeforeNext / 1_000)),
        isOver,
      };
    },
  };
}

interface Count extends Pick<RateLimiterRes, 'remainingPoints' | 'msBeforeNext'> {
  readonly isOver: boolean;
}

/** The limiter rejects with its result when the limit is exceeded, and with an Error when it could not count. */
async function taken(consumed: Promise<RateLimiterRes>): Promise<Count> {
  try {
    const { remainingPoints, msBeforeNext } = await consumed;
    return { remainingPoints, msBeforeNext, isOver: false };
  } catch (result) {
    if (!(result instanceof RateLimiterRes)) throw result;
    return { remainingPoints: 0, msBeforeNext: result.msBeforeNext, isOver: true };
  }
}

/** Who may use the API, and how much: authentication and rate limits, as the settings say. */
import type { Cluster, Redis } from 'ioredis';
import { redisRateLimits } from '../internal/repository/redis/rate-limits.ts';
import type { Log } from '../internal/service/ports.ts';
import { type Authenticate, jwtAuth, noAuth } from '../internal/transport/http/auth.ts';
import { refuseCrossSite, refuseForeignPages } from '../internal/transport/http/foreign-pages.ts';
import { type LimitRate, limitRate, unlimited } from '../internal/transport/http/rate-limit.ts';
import type { Config } from './config.ts';

/** Without a secret or JWKS URL there is no authentication; readConfig then requires a loopback HOST or AUTH=off. */
export function authentication({ AUTH, AUTH_JWT_SECRET, AUTH_JWKS_URL, ...config }: Config): Authenticate {
  const rules = {
    audience: config.AUTH_AUDIENCE,
    issuer: config.AUTH_ISSUER,
    clockToleranceS: config.AUTH_CLOCK_TOLERANCE_S,
  };
  if (AUTH_JWT_SECRET) return jwtAuth({ secret: AUTH_JWT_SECRET }, rules);
  if (AUTH_JWKS_URL) return jwtAuth({ jwksUrl: AUTH_JWKS_URL }, rules);
  return noAuth(AUTH === 'off' ? refuseCrossSite : refuseForeignPages);
}

/** For all processes together, through Redis. */
export function rateLimit({ RATE_LIMIT, ...config }: Config, redis: Redis | Cluster, log: Log): LimitRate {
  if (RATE_LIMIT === 0) return unlimited;
  const options = { prefix: config.REDIS_PREFIX, limit: RATE_LIMIT, windowS: config.RATE_LIMIT_WINDOW_S };
  return limitRate(redisRateLimits(redis, log, options), config.PROXIES);
}

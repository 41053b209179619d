/** Limits the requests of each principal, and those without a valid token of each address. */
import type { Context } from 'koa';
import { TiffinError } from '../../domain/errors.ts';
import type { RateLimits } from '../../service/ports.ts';
import type { Principal } from './principal.ts';

/** Counts a request, of an address if there is no principal; throws TOO_MANY_REQUESTS. */
export type LimitRate = (ctx: Context, principal?: Principal) => Promise<void>;

export const unlimited: LimitRate = async () => {};

/** `proxies`: how many proxies in front of the server have each added an address to X-Forwarded-For. */
export function limitRate(limits: RateLimits, proxies: number): LimitRate {
  return async (ctx, principal) => {
    // Without authentication all principals are one, so the address counts.
    const who =
      principal?.expiresAt === undefined
        ? `address ${addressOf(ctx, proxies)}`
        : `subject ${principal.subject}`;
    const { limit, windowS, remaining, resetS, isOver } = await limits.take(who);
    // draft-ietf-httpapi-ratelimit-headers-10: a quota of q requests in w seconds; r are left for the next t seconds.
    ctx.set({
      'RateLimit-Policy': `"default";q=${limit};w=${windowS}`,
      RateLimit: `"default";r=${remaining};t=${resetS}`,
    });
    if (!isOver) return;
    ctx.set('Retry-After', String(resetS));
    throw new TiffinError(
      'TOO_MANY_REQUESTS',
      `more than ${limit} requests in ${windowS} s; wait ${resetS} s`,
    );
  };
}

/** The nth address from the right was added by the outermost proxy of ours; a client can invent only those before it. */
function addressOf(ctx: Context, proxies: number): string {
  const forwarded = ctx.get('X-Forwarded-For').split(',');
  const added = proxies > 0 ? forwarded.at(-proxies)?.trim() : undefined;
  return added || (ctx.req.socket.remoteAddress ?? '');
}

/** The settings of rate limits. */
import { whole } from './kinds.ts';

export const limits = {
  RATE_LIMIT: whole(0, 10_000_000)
    .prefault('0')
    .describe(
      'Requests that each principal may send within `RATE_LIMIT_WINDOW_S`, and each address those without a valid token; then the answer is 429. 0: no limit. Probes and `/metrics` have none.',
    ),
  RATE_LIMIT_WINDOW_S: whole(1, 86_400).prefault('60').describe('The window of `RATE_LIMIT`, seconds.'),
  PROXIES: whole(0, 10)
    .prefault('0')
    .describe(
      'How many proxies are in front of Tiffin; each has added an address to `X-Forwarded-For`. The client’s is the one that the outermost of them added. 0: the address of the connection.',
    ),
};

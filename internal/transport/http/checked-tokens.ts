/** Remembers tokens that were found valid, for a minute: checking one takes as long as all the rest of placing an order. */
import type { Principal } from './principal.ts';

/** So long a token may be taken whose key has been withdrawn. */
const KEPT_MS = 60_000;
/** There are two generations; when the young one is full, the old one is given up. */
const GENERATION_SIZE = 5_000;

export interface CheckedTokens {
  recall(token: string): Principal | undefined;
  /** `expiresAt` is epoch seconds. */
  remember(token: string, principal: Principal, expiresAt: number): void;
}

export function checkedTokens(): CheckedTokens {
  type Generation = Map<string, { readonly principal: Principal; readonly until: number }>;
  let young: Generation = new Map();
  let old: Generation = new Map();
  return {
    recall(token) {
      const found = young.get(token) ?? old.get(token);
      return found && Date.now() < found.until ? found.principal : undefined;
    },
    remember(token, principal, expiresAt) {
      if (young.size >= GENERATION_SIZE) {
        old = young;
        young = new Map();
      }
      young.set(token, { principal, until: Math.min(expiresAt * 1_000, Date.now() + KEPT_MS) });
    },
  };
}

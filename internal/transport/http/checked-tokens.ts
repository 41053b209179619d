/** Caches verified tokens for a minute: verifying one takes as long as the rest of placing an order. */
import type { Principal } from './principal.ts';

/** A token whose key was withdrawn is still accepted for at most this time. */
const CACHED_MS = 60_000;
/** Tokens in each of the two generations; when the young one is full it becomes the old one, which is dropped. */
const GENERATION_SIZE = 5_000;

export interface CheckedTokens {
  recall(token: string): Principal | undefined;
  /** `expiresAt` is epoch ms. */
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
      young.set(token, { principal, until: Math.min(expiresAt, Date.now() + CACHED_MS) });
    },
  };
}

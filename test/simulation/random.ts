/** Pseudo-random numbers from a seed: the same seed gives the same numbers. */

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** An integer in [from, to]. */
  integer(from: number, to: number): number;
  chance(share: number): boolean;
  oneOf<T>(list: readonly T[]): T;
}

/** splitmix32 (public domain, by S. Vigna and C. Stafford). */
export function random(seed: number): Random {
  let state = seed | 0;
  const next = () => {
    state = (state + 0x9e3779b9) | 0;
    return mix(state) / 2 ** 32;
  };
  return {
    next,
    integer: (from, to) => from + Math.floor(next() * (to - from + 1)),
    chance: (share) => next() < share,
    oneOf: (list) => list[Math.floor(next() * list.length)] as never,
  };
}

/** An unsigned integer of 32 bits that looks random, for each integer. */
export function mix(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x21f0aaad);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x735a2d97);
  return (hash ^ (hash >>> 15)) >>> 0;
}

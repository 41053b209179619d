/** The recent orders of this browser, and the order that a page's address names; pure functions. */

const MOST_RECENT = 10;
/** The latest time that a Date can hold, epoch ms. */
const LAST_TIME = 8.64e15;

export interface RecentOrder {
  readonly id: string;
  /** When it was placed or first looked at, epoch ms. */
  readonly at: number;
}

/** Puts the entry first and removes its older copy; at most MOST_RECENT entries. */
export function remember(recent: readonly RecentOrder[], entry: RecentOrder): readonly RecentOrder[] {
  return [entry, ...recent.filter(({ id }) => id !== entry.id)].slice(0, MOST_RECENT);
}

/** Reads the stored recent orders; invalid entries are dropped. */
export function readRecent(text: string | null | undefined): readonly RecentOrder[] {
  try {
    const kept = JSON.parse(text ?? '') as RecentOrder[];
    return kept
      .filter(({ id, at }) => typeof id === 'string' && id && Math.abs(at) <= LAST_TIME)
      .map(({ id, at }) => ({ id, at }))
      .slice(0, MOST_RECENT);
  } catch {
    return [];
  }
}

/** The order id in a URL's hash, such as '#order=123'. */
export function orderOf(hash: string): string | undefined {
  return new URLSearchParams(hash.slice(1)).get('order')?.trim() || undefined;
}

export function hashOf(id: string): string {
  return `#order=${encodeURIComponent(id)}`;
}

/** Allots stock to orders: first come, first served; each order gets all its items or none. */

export interface Line {
  readonly itemId: string;
  readonly quantity: number;
}

export interface Shortage {
  readonly itemId: string;
  readonly requested: number;
  readonly available: number;
}

/** One line for each item, in the order in which the items first appear. */
export function addUp(lines: readonly Line[]): Line[] {
  const sums = new Map<string, number>();
  for (const { itemId, quantity } of lines) sums.set(itemId, (sums.get(itemId) ?? 0) + quantity);
  return [...sums].map(([itemId, quantity]) => ({ itemId, quantity }));
}

/**
 * Allots `stock` (item → units; 0 if absent) to the requests in turn. `shortages` has one list for each request, empty if
 * all of it was allotted. `left` is the remaining stock of every item that changed.
 */
export function allot(
  stock: ReadonlyMap<string, number>,
  requests: readonly (readonly Line[])[],
): { shortages: Shortage[][]; left: Map<string, number> } {
  const left = new Map<string, number>();
  const availableOf = (itemId: string) => left.get(itemId) ?? stock.get(itemId) ?? 0;
  const shortages = requests.map((lines) => {
    const sums = addUp(lines);
    const missing = sums
      .filter(({ itemId, quantity }) => availableOf(itemId) < quantity)
      .map(({ itemId, quantity }) => ({ itemId, requested: quantity, available: availableOf(itemId) }));
    if (missing.length === 0)
      for (const { itemId, quantity } of sums) left.set(itemId, availableOf(itemId) - quantity);
    return missing;
  });
  return { shortages, left };
}

/** The items that the orders in `taken` brought to their threshold or below, with the last order that took of each. */
export function ranLow<Id>(
  before: readonly { readonly itemId: string; readonly stockCount: number; readonly threshold: number }[],
  left: ReadonlyMap<string, number>,
  taken: readonly { readonly orderId: Id; readonly lines: readonly Line[] }[],
): { orderId: Id; itemId: string; stockCount: number; threshold: number }[] {
  return before.flatMap(({ itemId, stockCount: was, threshold }) => {
    const stockCount = left.get(itemId) ?? was;
    const last = taken.findLast(({ lines }) => lines.some((line) => line.itemId === itemId));
    const isLow = threshold > 0 && was > threshold && stockCount <= threshold;
    return isLow && last ? [{ orderId: last.orderId, itemId, stockCount, threshold }] : [];
  });
}

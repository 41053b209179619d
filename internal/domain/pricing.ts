/** The price of an order: the base, less a discount if it is large, plus a fee. All amounts are minor units of one currency. */
import { MAX_MINOR } from './money.ts';
import type { PriceParts } from './order.ts';

export interface PricingRules {
  /** A base above this gets the discount. */
  readonly discountAboveMinor: number;
  /** Percent of the base, 0 to 100. */
  readonly discountPercent: number;
  readonly feeMinor: number;
}

export interface PricedLine {
  readonly quantity: number;
  readonly unitPriceMinor: number;
}

export type Price = PriceParts & { readonly totalMinor: number };

/**
 * base = Σ quantity × unit price; discount = percent of the base, rounded to the nearest minor unit, a half upwards;
 * total = base - discount + fee.
 */
export function priceOf(lines: readonly PricedLine[], rules: PricingRules): Price {
  const baseMinor = lines.reduce((sum, { quantity, unitPriceMinor }) => sum + quantity * unitPriceMinor, 0);
  const discountMinor =
    baseMinor > rules.discountAboveMinor ? Math.round((baseMinor * rules.discountPercent) / 100) : 0;
  const feesMinor = rules.feeMinor;
  return { baseMinor, discountMinor, feesMinor, totalMinor: baseMinor - discountMinor + feesMinor };
}

/** True for a total above the largest amount, also where it overflowed to Infinity or NaN. */
export function isTooExpensive({ totalMinor }: Price): boolean {
  return !(totalMinor <= MAX_MINOR);
}

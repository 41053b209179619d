/** What an order costs: a discount on a large base, then a fee. All amounts are minor units of one currency. */
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

/** base = Σ quantity × unit price; discount = percent of the base, half a cent rounded up; total = base - discount + fee. */
export function priceOf(lines: readonly PricedLine[], rules: PricingRules): Price {
  const baseMinor = lines.reduce((sum, { quantity, unitPriceMinor }) => sum + quantity * unitPriceMinor, 0);
  const discountMinor =
    baseMinor > rules.discountAboveMinor ? Math.round((baseMinor * rules.discountPercent) / 100) : 0;
  const feesMinor = rules.feeMinor;
  return { baseMinor, discountMinor, feesMinor, totalMinor: baseMinor - discountMinor + feesMinor };
}

/** More than an order may cost, or than a double can count. */
export function isTooExpensive({ totalMinor }: Price): boolean {
  return !(totalMinor <= MAX_MINOR);
}

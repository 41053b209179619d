/** Money as an integer of minor units (cents) with a currency, and its conversion from and to decimals. */

export interface Money {
  /** Minor units, a safe integer ≥ 0. */
  readonly minor: number;
  /** ISO 4217 code of a currency with two decimals. */
  readonly currency: string;
}

/** The largest amount an order may carry: 9,999,999,999.99, in minor units. */
export const MAX_MINOR = 999_999_999_999;

const DECIMAL = /^(\d+)(?:\.(\d{1,2})0*)?$/;

/** Parses a decimal such as 12.5 or "12.50" into minor units; `fault` completes a sentence such as "the total must be …". */
export function parseDecimal(input: string | number): { minor: number } | { fault: string } {
  const text = String(input).trim();
  if (typeof input === 'number' && !Number.isFinite(input)) return { fault: 'must be a number' };
  if (/^-/.test(text)) return { fault: 'must not be negative' };
  if (typeof input === 'number' && input * 100 > MAX_MINOR) return { fault: 'must be at most 9999999999.99' };
  const match = DECIMAL.exec(text);
  if (!match) {
    return /^\d+\.\d+$|^\d+(\.\d+)?e-\d+$/.test(text)
      ? { fault: 'must have at most two decimals' }
      : { fault: 'must be a decimal number such as 12.50' };
  }
  // A double loses digits only far above the largest amount.
  const minor = Number(match[1]) * 100 + Number((match[2] ?? '').padEnd(2, '0'));
  return minor > MAX_MINOR ? { fault: 'must be at most 9999999999.99' } : { minor };
}

/** The amount as a JSON number with at most two decimals: 1250 minor units are 12.5. */
export function toDecimal(minor: number): number {
  return minor / 100;
}

/** The amount as NUMERIC text: 1250 minor units are "12.50". */
export function toDecimalText(minor: number): string {
  return `${Math.trunc(minor / 100)}.${String(minor % 100).padStart(2, '0')}`;
}

/** The currencies of ISO 4217 that have no decimals, three or four. All amounts here have two. */
export const OTHER_DECIMALS: readonly string[] = [
  ...['BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV'],
  ...['XAF', 'XOF', 'XPF', 'BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND', 'CLF', 'UYW'],
];

/** Why a currency cannot be used, in the form "must …"; undefined if it can. */
export function currencyFault(code: string): string | undefined {
  if (!/^[A-Z]{3}$/.test(code)) return 'must be three capital letters, such as USD';
  return OTHER_DECIMALS.includes(code)
    ? 'must be a currency with two decimals, such as USD: amounts have two decimals here'
    : undefined;
}

/** Kinds of settings: each checks a variable and has the text for its error message and the documentation. */
import { z } from 'zod';
import { parseDecimal } from '../../internal/domain/money.ts';
import { faultsOfHistoryUrl } from '../../internal/repository/cassandra/history-url.ts';
import { faultsOfDatabaseUrl } from '../../internal/repository/postgres/database-url.ts';

/** A setting whose text has to pass `isRight`; `takes` completes "must be …". */
export function text(takes: string, isRight: (text: string) => boolean = () => true) {
  return z.string().refine(isRight, `must be ${takes}`).meta({ takes });
}

export const url = (...protocols: string[]) =>
  text(
    `a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol),
  );

/** A URL that is read elsewhere, which says all that is wrong with it. */
const checked = (takes: string, faultsOf: (value: string) => readonly string[]) =>
  z
    .string()
    .superRefine((value, ctx) => {
      for (const message of faultsOf(value)) ctx.addIssue({ code: 'custom', message });
    })
    .meta({ takes });

export const databaseUrl = () =>
  checked('a URL that begins with postgres:// or postgresql://, of one host or several', faultsOfDatabaseUrl);

export const historyUrl = () => checked('a URL that begins with cassandra://', faultsOfHistoryUrl);

export function whole(from: number, to: number) {
  const takes = `a whole number from ${from} to ${to}`;
  return text(takes, (value) => /^\d{1,15}$/.test(value) && Number(value) >= from && Number(value) <= to)
    .transform(Number)
    .meta({ takes });
}

/** A duration of at most a year. */
export const seconds = () => whole(1, 31_536_000);

/** A retention of at most a century; 0 is for ever. */
export const days = () => whole(0, 36_500);

/** Whole minor units of a decimal amount. */
export const money = () =>
  z
    .string()
    .transform((value, ctx) => {
      const parsed = parseDecimal(value);
      if ('minor' in parsed) return parsed.minor;
      ctx.addIssue({ code: 'custom', message: parsed.fault });
      return z.NEVER;
    })
    .meta({ takes: 'an amount with up to two decimals' });

export const oneOf = <const T extends readonly string[]>(...values: T) =>
  z
    .enum(values, { error: `must be one of ${values.join(', ')}` })
    .meta({ takes: values.map((value) => `\`${value}\``).join(', ') });

export const secret = (least: number) =>
  z
    .string()
    .min(least, `must have at least ${least} characters`)
    .meta({ takes: `text of at least ${least} characters` });

/** Values separated by commas. */
export const list = (takes: string, isRight: (value: string) => boolean) =>
  z
    .string()
    .transform((value) => value.split(',').map((part) => part.trim()))
    .refine((values) => values.every(isRight), `must be ${takes}`)
    .meta({ takes });

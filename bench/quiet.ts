/** A log and a meter for parts that are measured without the program around them; both remember what a benchmark asks for. */
import type { Log, LogFields, Meter } from '../internal/service/ports.ts';

export interface LoggedLine {
  readonly at: number;
  readonly message: string;
  readonly fields: LogFields;
}

/** Prints warnings and errors; keeps every line with the time it came, by `performance.now()`. */
export function benchLog(options: { expect?: RegExp } = {}): Log & { readonly lines: LoggedLine[] } {
  const lines: LoggedLine[] = [];
  const write = (isFault: boolean) => (fields: LogFields, message: string) => {
    lines.push({ at: performance.now(), message, fields });
    if (isFault && !options.expect?.test(message)) console.error(message, fields);
  };
  return { lines, debug() {}, info: write(false), warn: write(true), error: write(true) };
}

export const silentMeter: Meter = { count() {}, observe() {} };

/** A log that keeps its lines and a meter that does nothing, for parts that are measured without the whole program. */
import type { Log, LogFields, Meter } from '../internal/service/ports.ts';

export interface LoggedLine {
  readonly at: number;
  readonly message: string;
  readonly fields: LogFields;
}

/** Prints warnings and errors unless they match `expect`; keeps lines from `info` up, timed by `performance.now()`. */
export function benchLog(options: { expect?: RegExp } = {}): Log & { readonly lines: LoggedLine[] } {
  const lines: LoggedLine[] = [];
  const write = (isFault: boolean) => (fields: LogFields, message: string) => {
    lines.push({ at: performance.now(), message, fields });
    if (isFault && !options.expect?.test(message)) console.error(message, fields);
  };
  return { lines, debug() {}, info: write(false), warn: write(true), error: write(true) };
}

export const silentMeter: Meter = { count() {}, observe() {} };

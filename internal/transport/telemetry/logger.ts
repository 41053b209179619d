/** Creates the logger: readable lines on a terminal, JSON otherwise. */
import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export function createLogger(level: string, format: 'auto' | 'json' | 'pretty'): Logger {
  const readable = format === 'pretty' || (format === 'auto' && process.stdout.isTTY);
  const options = { level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime };
  if (!readable) return pino({ ...options, formatters: { level: (label) => ({ level: label }) } });
  return pino(
    options,
    pretty({ colorize: process.stdout.isTTY, translateTime: 'SYS:HH:MM:ss.l', singleLine: true, sync: true }),
  );
}

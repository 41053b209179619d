/** Faults of configuration and surroundings, each told in one sentence. Every other fault is one of ours and shows its stack. */
import { TiffinError } from '../internal/domain/errors.ts';

/** A setting, or something around this program, that its operator has to change; the message is a whole sentence. */
export class ConfigError extends Error {}

/** What to print when the program cannot go on. */
export function describeFault(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return outsideFault(error) ?? error.stack ?? error.message;
}

function outsideFault(error: Error): string | undefined {
  if (error instanceof ConfigError || error instanceof TiffinError) return error.message;
  const { code, syscall, severity } = error as NodeJS.ErrnoException & { severity?: string };
  if (severity) return `The database refuses a statement: ${error.message} (${code}).`;
  if (code && syscall) return `The operating system refuses a call: ${error.message}.`;
  return error.cause instanceof Error ? outsideFault(error.cause) : undefined;
}

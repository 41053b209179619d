/** Describes a fault of configuration or environment in one sentence; any other fault is a bug, with its stack. */
import { TiffinError } from '../internal/domain/errors.ts';

/** A fault in a setting or in the environment that the operator has to correct; the message is a whole sentence. */
export class ConfigError extends Error {}

/** The text to print when the program ends because of an error. */
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

/** What is wrong with a request, as the API's answers say it; pure functions. */
import type { components } from './api.d.ts';

export type Fault = Partial<components['schemas']['Faults']['errors'][number]> & { readonly detail: string };

export function faultsIn(body: unknown, status: number): readonly Fault[] {
  const errors = (body as { errors?: Fault[] } | undefined)?.errors;
  return Array.isArray(errors) ? errors : [{ detail: `The server answered ${status}.` }];
}

export function sentenceOf(faults: readonly Fault[]): string {
  return faults.map(({ detail }) => detail).join('; ');
}

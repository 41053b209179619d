/** The client of the API: typed requests with this tab's token, and the faults of an answer. */
import createClient from 'openapi-fetch';
import type { paths } from './api.d.ts';
import { type Fault, faultsIn } from './faults.ts';

export const OUT_OF_REACH = 'The server could not be reached.';

const TOKEN = 'tiffin.token';
let token = allowed(() => sessionStorage.getItem(TOKEN)) ?? '';
const denied = new Set<(sentence: string) => void>();

export const api = createClient<paths>({ baseUrl: '', fetch: (request) => send(request) });

/** Sends a request. If the server refuses the token or requires one, whoever listens may ask the user for one. */
export async function send(input: Request | string, init: RequestInit = {}): Promise<Response> {
  const request = new Request(input, { cache: 'no-store', ...init });
  if (token) request.headers.set('Authorization', `Bearer ${token}`);
  const response = await fetch(request);
  if (response.status === 401)
    for (const listener of denied)
      listener(token ? 'This token is not accepted.' : 'An access token is required.');
  return response;
}

/** Calls the listener with a sentence whenever a request was refused for its token; returns a function that ends it. */
export function onDenied(listener: (sentence: string) => void): () => void {
  denied.add(listener);
  return () => denied.delete(listener);
}

export function hasToken(): boolean {
  return token !== '';
}

export function setToken(text: string): void {
  // A header cannot hold any other characters.
  token = text.replace(/[^\x21-\x7e]/g, '');
  allowed(() => sessionStorage.setItem(TOKEN, token));
}

export interface Outcome<Data> {
  readonly data?: Data;
  readonly faults: readonly Fault[];
}

/** The content of an answer, or what is wrong in sentences for people; does not throw if the server is out of reach. */
export async function outcomeOf<Data>(
  answer: Promise<{ data?: Data; error?: unknown; response: Response }>,
): Promise<Outcome<Data>> {
  try {
    const { data, error, response } = await answer;
    return response.ok ? { data: data as Data, faults: [] } : { faults: faultsIn(error, response.status) };
  } catch {
    return { faults: [{ detail: OUT_OF_REACH }] };
  }
}

/** Runs `act`; undefined if the browser forbids storage, and then the page remembers only while it is open. */
export function allowed<Result>(act: () => Result): Result | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}

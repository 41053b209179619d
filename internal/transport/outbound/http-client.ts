/** Outgoing HTTP: each request has a time limit, and after one without an answer new connections are used. */
import { Agent, fetch, type RequestInit } from 'undici';

const LONGEST_ANSWER_BYTES = 1 << 20;

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** Rejects like `fetch`: without an answer in time, or with one that is too long. */
export type HttpClient = (
  url: string,
  init: Omit<RequestInit, 'dispatcher' | 'signal'>,
) => Promise<HttpAnswer>;

export function httpClient(timeoutMs: number): HttpClient {
  const connections = () => new Agent({ maxResponseSize: LONGEST_ANSWER_BYTES });
  let agent = connections();
  return async (url, init) => {
    const used = agent;
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await fetch(url, { ...init, dispatcher: used, signal });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      // If one connection died without a word, the others have probably died with it.
      if (agent === used) agent = connections();
      // Requests that are still under way on the old ones have limits of their own.
      used.close().catch(() => {});
      throw error;
    }
  };
}

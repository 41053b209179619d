/** The demo's HTTP client for a running Tiffin, with a bearer token if Tiffin requires one. */
import { setTimeout as pause } from 'node:timers/promises';

// biome-ignore lint/suspicious/noExplicitAny: answers of many routes, each read by its caller
export type Json = any;

export interface Answer {
  readonly status: number;
  readonly body: Json;
}

export interface Client {
  readonly ask: (method: string, path: string, body?: unknown) => Promise<Answer>;
  /** Milliseconds until each answer. */
  readonly latencies: number[];
}

const TRIES = 8;

/** Retries after a 503 or a lost connection; every POST has an idempotency key, so it takes effect once. */
export function client(url: string, token?: string): Client {
  const latencies: number[] = [];
  return {
    latencies,
    async ask(method, path, body) {
      const headers = {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(method === 'POST' ? { 'idempotency-key': crypto.randomUUID() } : {}),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      };
      for (let attempt = 1; ; attempt++) {
        const started = performance.now();
        try {
          const answer = await fetch(`${url}${path}`, {
            method,
            headers,
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
            signal: AbortSignal.timeout(10_000),
          });
          const text = await answer.text();
          latencies.push(performance.now() - started);
          if (answer.status !== 503 || attempt === TRIES)
            return { status: answer.status, body: text ? JSON.parse(text) : undefined };
        } catch (error) {
          if (attempt === TRIES) throw error;
        }
        await pause(100 * 2 ** attempt);
      }
    },
  };
}

/** The HTTP client of the simulated world: it retries as a client would, and records what it asked and heard. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Answer, Client, Json } from '../../cmd/demo/client.ts';
import type { Call, Recorder } from './history.ts';

/** A request without an answer by then has an unknown outcome. */
const ANSWER_LIMIT_MS = 8_000;
const GIVE_UP_MS = 150_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;

/** Gives up with this status, which no server sends. */
export const GIVEN_UP = 599;

export interface ChaosClient extends Client {
  /** How many attempts got no answer, or one that asks to try again. */
  readonly retries: () => number;
}

/**
 * `urlOf` finds the process that serves a path. A POST has one idempotency key for all its attempts, so together they are
 * one operation; each attempt of another method is one of its own.
 */
export function chaosClient(urlOf: (method: string, path: string) => string, history: Recorder): ChaosClient {
  const latencies: number[] = [];
  let retries = 0;

  async function attempt(method: string, path: string, init: RequestInit): Promise<Answer | undefined> {
    try {
      const started = performance.now();
      const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
      const answer = await fetch(`${urlOf(method, path)}${path}`, { ...init, method, signal });
      const text = await answer.text();
      latencies.push(performance.now() - started);
      return { status: answer.status, body: text ? JSON.parse(text) : undefined };
    } catch {
      return undefined;
    }
  }

  return {
    latencies,
    retries: () => retries,
    async ask(method, path, body) {
      const init: RequestInit = {
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(method === 'POST' ? { 'idempotency-key': crypto.randomUUID() } : {}),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
      const begin = () => operationOf(history, method, path, body);
      let operation = begin();
      const giveUpAt = performance.now() + GIVE_UP_MS;
      for (let attempts = 1; ; attempts++) {
        const answer = await attempt(method, path, init);
        if (answer && !asksAgain(answer)) {
          end(operation, answer, method === 'POST' && attempts > 1);
          return answer;
        }
        retries += 1;
        const isLast = performance.now() > giveUpAt;
        // Even a 503 says nothing: the server may have lost its database while it committed.
        if (method !== 'POST' || isLast) operation?.end('info');
        if (isLast) return { status: GIVEN_UP, body: undefined };
        await pause(Math.min(FIRST_PAUSE_MS * 2 ** attempts, LONGEST_PAUSE_MS));
        if (method !== 'POST') operation = begin();
      }
    },
  };
}

/** 503; or an earlier attempt with this key is still in progress. */
function asksAgain({ status, body }: Answer): boolean {
  return status === 503 || /^IDEMPOTENCY_KEY_/.test(body?.errors?.[0]?.code ?? '');
}

function operationOf(history: Recorder, method: string, path: string, body: Json): Call | undefined {
  const due = body?.scheduled_time ?? body?.scheduledAt;
  const dueAt = due === undefined ? {} : { dueAt: Date.parse(due) };
  const [, id] = /\/orders\/([^/]+)/.exec(path) ?? [];
  switch (
    `${method} ${path.replace(/\/orders\/[^/]+/, '/orders/*').replace(/(restaurants|riders)\/[^/]+/, '$1/*')}`
  ) {
    case 'POST /orders':
    case 'POST /v1/orders':
    case 'POST /api/v1/orders':
      return history.begin('place', {});
    case 'POST /v1/orders/*/cancel':
      return history.begin('cancel', {}, id);
    case 'PATCH /v1/orders/*/schedule':
      return history.begin('reschedule', dueAt, id);
    case 'POST /v1/restaurants/*/orders/*':
      return history.begin(body.action === 'ACCEPT' ? 'accept' : 'reject', {}, id);
    case 'PATCH /v1/riders/*/orders/*':
      return history.begin(body.status === 'DELIVERED' ? 'deliver' : 'pick-up', {}, id);
    case 'PATCH /api/v1/orders/*/status':
      return history.begin('move', { status: body.status }, id);
    default:
      return undefined;
  }
}

/** `isRepeated`: an earlier attempt of the operation had no answer, so it may take effect after a later one was refused. */
function end(operation: Call | undefined, { status, body }: Answer, isRepeated: boolean): void {
  if (status >= 200 && status < 300) {
    const dueAt = body?.dueAt === undefined ? {} : { dueAt: Date.parse(body.dueAt) };
    operation?.end('ok', dueAt, body?.order_id ?? body?.orderId);
  } else operation?.end(isRepeated ? 'info' : 'fail', { status, code: body?.errors?.[0]?.code });
}

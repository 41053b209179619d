/** A payment provider over HTTP: one POST per step, safe to retry because of its Idempotency-Key. */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { TiffinError } from '../../domain/errors.ts';
import { toDecimalText } from '../../domain/money.ts';
import type { PaymentAnswer, PaymentStep } from '../../domain/payment.ts';
import { backoffMs } from '../../domain/retry.ts';
import type { PaymentProvider, PaymentRequest } from '../../service/payments/ports.ts';
import { httpClient } from './http-client.ts';
import { targetOf } from './target.ts';

const RESOURCES: Record<PaymentStep, string> = {
  authorize: 'authorizations',
  abandon: 'voids',
  capture: 'captures',
  void: 'voids',
  refund: 'refunds',
};

/** Attempts before a request counts as unanswered; later retries are the caller's task. */
const ATTEMPTS = 3;

/** Statuses that decide nothing about the step: a wrong API key, a timeout, a concurrent request, too many requests. */
const UNDECIDED: readonly number[] = [401, 403, 408, 409, 425, 429];

const MAX_REASON = 256;

const answered = z.object({
  /** Optional: the HTTP status may say it already. */
  status: z.enum(['approved', 'declined', 'pending']).optional(),
  /** The authorization's id, at most as long as the ledger's column. */
  id: z.string().min(1).max(128).optional(),
  reason: z.string().optional(),
});

export interface HttpPaymentsOptions {
  /** Base URL of the steps' resources, such as https://pay.example/v1. */
  readonly url: string;
  /** Sent as a bearer token. */
  readonly apiKey?: string | undefined;
  /** Time limit of each attempt. */
  readonly timeoutMs: number;
}

/**
 * Sends `{orderId, amount: "12.50", currency, token?, authorizationId?, authorizationKey?}` to `authorizations`, `captures`,
 * `voids` and `refunds`. 200 and 201 carry `{status: "approved" | "declined" | "pending", id, reason}`; 402 is a decline.
 * Throws UNAVAILABLE if the provider does not decide; any other 4xx means a faulty request and throws a plain Error.
 */
export function httpPayments({ url, apiKey, timeoutMs }: HttpPaymentsOptions): PaymentProvider {
  const target = targetOf(url);
  const base = target.url.replace(/\/+$/, '');
  const ask = httpClient(timeoutMs);

  /** The response, or undefined with the reason added to `failures` if there was none, or a 5xx. */
  async function post(request: PaymentRequest, failures: unknown[]) {
    try {
      const answer = await ask(`${base}/${RESOURCES[request.step]}`, {
        method: 'POST',
        headers: {
          ...target.headers,
          'content-type': 'application/json',
          'idempotency-key': request.idempotencyKey,
          ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}),
        },
        body: JSON.stringify(bodyOf(request)),
        // A followed redirect could lose the body, or send the payment token to another host.
        redirect: 'error',
      });
      if (answer.status < 500) return answer;
      failures.push(new Error(`it answered ${answer.status}`));
    } catch (error) {
      failures.push(error);
    }
    return undefined;
  }

  return {
    async carryOut(request) {
      const failures: unknown[] = [];
      for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
        if (attempt > 1) await pause(backoffMs(attempt - 1));
        const response = await post(request, failures);
        if (response) return readAnswer(request.step, response.status, response.text);
      }
      throw noAnswer('cannot be reached', failures.at(-1));
    },
  };
}

function bodyOf({ orderId, amount, token, authorizationId, authorizationKey }: PaymentRequest) {
  return {
    orderId,
    amount: toDecimalText(amount.minor),
    currency: amount.currency,
    token,
    authorizationId,
    authorizationKey,
  };
}

function readAnswer(step: PaymentStep, status: number, text: string): PaymentAnswer {
  const answer = answered.safeParse(parsed(text)).data;
  const reason = plain(answer?.reason);
  if (status === 402) return { outcome: 'declined', reason: reason || 'DECLINED' };
  // 404 on abandon: nothing was authorized.
  if (status === 404 && step === 'abandon') return { outcome: 'done' };
  if (UNDECIDED.includes(status)) throw noAnswer(`answered ${status}`);
  if (status >= 400) throw new Error(`the payment provider refuses to ${step}: ${status} ${reason}`.trim());
  switch (answer?.status) {
    case 'approved':
      if (step !== 'authorize') return { outcome: 'done' };
      if (answer.id === undefined) throw noAnswer('approved without an id');
      return { outcome: 'done', authorizationId: answer.id };
    case 'declined':
      return { outcome: 'declined', reason: reason || 'DECLINED' };
    case 'pending':
      return { outcome: 'pending' };
    default:
      throw noAnswer(`answered ${status} without a valid status`);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Makes a reason storable: no control characters, limited length. */
function plain(reason = ''): string {
  return reason.replace(/[\p{Cc}\p{Cs}]/gu, ' ').slice(0, MAX_REASON);
}

function noAnswer(problem: string, cause?: unknown): TiffinError {
  return new TiffinError('UNAVAILABLE', `the payment provider ${problem}`, { cause });
}

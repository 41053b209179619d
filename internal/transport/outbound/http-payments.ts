/** A payment provider over HTTP: one POST for each step, safe to repeat by its Idempotency-Key. */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { TiffinError } from '../../domain/errors.ts';
import { toDecimalText } from '../../domain/money.ts';
import type { PaymentAnswer, PaymentStep } from '../../domain/payment.ts';
import { backoffMs } from '../../domain/retry.ts';
import type { PaymentProvider, PaymentRequest } from '../../service/payments/ports.ts';

const RESOURCES: Record<PaymentStep, string> = {
  authorize: 'authorizations',
  abandon: 'voids',
  capture: 'captures',
  void: 'voids',
  refund: 'refunds',
};

/** How often a request is sent before it counts as unanswered; after that it is for the caller to wait longer. */
const TRIES = 3;

/** That our key is wrong, that we are too many, or that the first request is still under way, is no answer to the step. */
const NO_ANSWER: readonly number[] = [401, 403, 408, 409, 425, 429];

const MAX_REASON = 256;

const answered = z.object({
  /** Not needed where the HTTP status says it. */
  status: z.enum(['approved', 'declined', 'pending']).optional(),
  /** The authorization's; as long as the ledger has room for. */
  id: z.string().min(1).max(128).optional(),
  reason: z.string().optional(),
});

export interface HttpPaymentsOptions {
  /** Such as https://pay.example/v1; the steps are resources below it. */
  readonly url: string;
  /** Sent as a bearer token. */
  readonly apiKey?: string | undefined;
  /** For each try. */
  readonly timeoutMs: number;
}

/**
 * Sends `{orderId, amount: "12.50", currency, token?, authorizationId?, authorizationKey?}` to `authorizations`, `captures`,
 * `voids` and `refunds`. 200 or 201 carry `{status: "approved" | "declined" | "pending", id, reason}`; 402 is a decline; what
 * else is 4xx is a fault of ours, thrown as it is. Everything that is no answer is thrown as UNAVAILABLE.
 */
export function httpPayments({ url, apiKey, timeoutMs }: HttpPaymentsOptions): PaymentProvider {
  const base = url.replace(/\/+$/, '');

  /** Undefined, with the reason in `silences`, where nobody answered. */
  async function ask(request: PaymentRequest, silences: unknown[]) {
    try {
      const response = await fetch(`${base}/${RESOURCES[request.step]}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'idempotency-key': request.idempotencyKey,
          ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}),
        },
        body: JSON.stringify(bodyOf(request)),
        // Followed, it would lose its body, or give a card to somebody else.
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      const text = await response.text();
      if (response.status < 500) return { status: response.status, text };
      silences.push(new Error(`it answered ${response.status}`));
    } catch (error) {
      silences.push(error);
    }
    return undefined;
  }

  return {
    async carryOut(request) {
      const silences: unknown[] = [];
      for (let tries = 1; tries <= TRIES; tries += 1) {
        if (tries > 1) await pause(backoffMs(tries - 1));
        const answer = await ask(request, silences);
        if (answer) return readAnswer(request.step, answer.status, answer.text);
      }
      throw noAnswer('cannot be reached', silences.at(-1));
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
  // What it never heard of has come to nothing already.
  if (status === 404 && step === 'abandon') return { outcome: 'done' };
  if (NO_ANSWER.includes(status)) throw noAnswer(`answered ${status}`);
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
      throw noAnswer(`answered ${status} with something that is none`);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Text that a database can hold. */
function plain(reason = ''): string {
  return reason.replace(/[\p{Cc}\p{Cs}]/gu, ' ').slice(0, MAX_REASON);
}

function noAnswer(what: string, cause?: unknown): TiffinError {
  return new TiffinError('UNAVAILABLE', `the payment provider ${what}`, { cause });
}

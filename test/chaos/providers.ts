/** The payment provider of a run: it decides by the token, does each step once for its idempotency key, and keeps books. */
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';

export interface Authorization {
  readonly orderId: string;
  readonly authorizationId: string;
  readonly authorizedMinor: number;
  capturedMinor: number;
  refundedMinor: number;
  isVoided: boolean;
}

export interface PaymentProvider {
  readonly url: string;
  readonly secret: string;
  readonly books: readonly Authorization[];
  /** Answers every request with this status and does nothing; undefined ends it. */
  refuseWith(status: number | undefined): void;
  close(): Promise<void>;
}

interface Step {
  readonly orderId: string;
  readonly amount: string;
  readonly token?: string;
  readonly authorizationId?: string;
  readonly authorizationKey?: string;
}

type Decision = Readonly<Record<string, string>>;

const WEBHOOK_AFTER_MS = 300;
const WEBHOOK_TRIES = 100;

/** `webhookUrl` is where the results of pending authorizations are sent to. */
export async function startPayments(webhookUrl: () => string): Promise<PaymentProvider> {
  const secret = randomUUID();
  const books: Authorization[] = [];
  const decisions = new Map<string, Decision>();
  const abandoned = new Set<string>();
  const requests = new Map<string, number>();
  let isOpen = true;
  let refusal: number | undefined;

  function authorize({ orderId, amount }: Step, key: string): Decision {
    const made = {
      orderId,
      authorizationId: `auth_${key}`,
      authorizedMinor: Math.round(Number(amount) * 100),
      capturedMinor: 0,
      refundedMinor: 0,
      isVoided: false,
    };
    books.push(made);
    return { status: 'approved', id: made.authorizationId };
  }

  /** A pending authorization is approved later, unless it was abandoned by then. */
  async function approveLater(step: Step, key: string): Promise<void> {
    await pause(WEBHOOK_AFTER_MS);
    if (abandoned.has(key)) return;
    const { id = '' } = authorize(step, key);
    decisions.set(key, { status: 'approved', id });
    const body = JSON.stringify({ orderId: step.orderId, status: 'approved', id });
    for (let tries = 0; isOpen && tries < WEBHOOK_TRIES; tries++) {
      const t = Math.floor(Date.now() / 1_000);
      const v1 = createHmac('sha256', secret).update(`${t}.${body}`).digest('hex');
      const headers = { 'content-type': 'application/json', 'tiffin-signature': `t=${t},v1=${v1}` };
      const signal = AbortSignal.timeout(5_000);
      const sent = await fetch(webhookUrl(), { method: 'POST', headers, body, signal }).catch(
        () => undefined,
      );
      if (sent?.ok) return;
      await pause(WEBHOOK_AFTER_MS);
    }
  }

  function decide(path: string, step: Step, key: string): Decision {
    const found = books.filter(({ orderId, isVoided }) => orderId === step.orderId && !isVoided);
    const minor = Math.round(Number(step.amount) * 100);
    switch (path) {
      case '/authorizations':
        if (step.token === 'tok_decline') return { status: 'declined', reason: 'CARD_DECLINED' };
        if (step.token !== 'tok_pending') return authorize(step, key);
        void approveLater(step, key);
        return { status: 'pending' };
      case '/captures':
        for (const one of found) if (one.authorizationId === step.authorizationId) one.capturedMinor += minor;
        return { status: 'approved' };
      case '/refunds':
        for (const one of found) if (one.authorizationId === step.authorizationId) one.refundedMinor += minor;
        return { status: 'approved' };
      default:
        if (step.authorizationKey) abandoned.add(step.authorizationKey);
        for (const one of found)
          if (
            step.authorizationId === one.authorizationId ||
            one.authorizationId === `auth_${step.authorizationKey}`
          )
            one.isVoided = true;
        return { status: 'approved' };
    }
  }

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const key = String(request.headers['idempotency-key']);
    const step = JSON.parse(await text(request)) as Step;
    const answer = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (refusal !== undefined) return void answer(refusal, {});
    const count = (requests.get(key) ?? 0) + 1;
    requests.set(key, count);
    if (step.token === 'tok_flaky' && count <= 3) return void answer(500, {});
    if (abandoned.has(key)) return void answer(200, { status: 'declined', reason: 'ABANDONED' });
    const decision = decisions.get(key) ?? decide(request.url ?? '', step, key);
    decisions.set(key, decision);
    // The first answer is lost, although the step was done.
    if (step.token === 'tok_timeout' && count === 1) return void request.socket.destroy();
    answer(200, decision);
  }

  const server = createServer((request, response) => {
    take(request, response).catch(() => request.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    secret,
    books,
    refuseWith(status) {
      refusal = status;
    },
    async close() {
      isOpen = false;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Sends messages to customers through the notification provider's webhook, or logs them if none is configured. */
import type { SendOutcome } from '../../domain/notification.ts';
import type { NotificationProvider } from '../../service/notifications/ports.ts';
import type { Log } from '../../service/ports.ts';
import { httpClient } from './http-client.ts';
import { targetOf } from './target.ts';

const TIMEOUT_MS = 5_000;
const ERROR_LENGTH = 200;

/** POSTs `{to, template, variables}`; only the status 202 means that the provider accepted the message. */
export function httpNotifications(url: string, timeoutMs = TIMEOUT_MS): NotificationProvider {
  const target = targetOf(url);
  const ask = httpClient(timeoutMs);
  return {
    async send({ to, template, variables }, idempotencyKey) {
      try {
        const { status, text } = await ask(target.url, {
          method: 'POST',
          headers: {
            ...target.headers,
            'Content-Type': 'application/json',
            'Idempotency-Key': idempotencyKey,
          },
          body: JSON.stringify({ to, template, variables }),
          redirect: 'manual',
        });
        return outcomeOf(status, text);
      } catch (error) {
        return { outcome: 'unavailable', error: `no response from the provider: ${causeOf(error)}` };
      }
    },
  };
}

/** Logs every message and sends none. */
export function loggedNotifications(log: Log): NotificationProvider {
  return {
    async send({ to, template, variables }) {
      log.debug(
        { to, template, variables },
        'a message to a customer was not sent: NOTIFICATION_URL is not set',
      );
      return { outcome: 'sent' };
    },
  };
}

function outcomeOf(status: number, body: string): SendOutcome {
  if (status === 202) return { outcome: 'sent' };
  const text = body.replace(/[\p{Cc}\p{Cs}]+/gu, ' ').trim();
  const error = `the provider answered ${status}${text ? `: ${text}` : ''}`.slice(0, ERROR_LENGTH);
  if (status === 429) return { outcome: 'unavailable', error };
  const isRefusal = status >= 400 && status < 500 && status !== 408;
  return { outcome: isRefusal ? 'refused' : 'failed', error };
}

/** The reason of a failed fetch: its message says only that it failed, its cause says why. */
function causeOf(error: unknown): string {
  const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? message;
}

/** Bearer tokens for SASL OAUTHBEARER, by a command or from a login service, fetched anew before they end. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { decodeJwt } from 'jose';
import { z } from 'zod';
import { within } from './kafka-faults.ts';

const LIMIT_MS = 5_000;
const LIMIT_BYTES = 65_536;

interface Token {
  readonly value: string;
  /** How long the token is valid from now on; undefined if that is unknown. */
  readonly lifetimeMs: number | undefined;
}

const grant = z.object({ access_token: z.string().min(1), expires_in: z.coerce.number().optional() });

/** The token that a shell command prints: the token itself, or the JSON of a login service. */
export function tokenByCommand(command: string): () => Promise<string> {
  return renewed(async () => {
    const options = { timeout: LIMIT_MS, maxBuffer: LIMIT_BYTES, killSignal: 'SIGKILL' } as const;
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], options).catch((error) => {
      // The message of Node has the whole command in it, which may hold a secret.
      const reason = error.code ?? error.signal ?? 'it did not run';
      throw new Error(`KAFKA_TOKEN_COMMAND failed (${reason}): ${lastLine(String(error.stderr ?? ''))}`);
    });
    const printed = stdout.trim();
    if (printed === '') throw new Error('KAFKA_TOKEN_COMMAND printed no token');
    return printed.startsWith('{') ? tokenOf(printed, 'KAFKA_TOKEN_COMMAND') : withLifetime(printed);
  });
}

export interface TokenService {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: () => string;
  readonly scope?: string | undefined;
}

/** The token of a login service for this client's own credentials (RFC 6749, sections 2.3.1 and 4.4). */
export function tokenByUrl({ url, clientId, clientSecret, scope }: TokenService): () => Promise<string> {
  return renewed(async () => {
    const credentials = [clientId, clientSecret()].map(encodeURIComponent).join(':');
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...(scope && { scope }) }),
      redirect: 'error',
      signal: AbortSignal.timeout(LIMIT_MS),
    }).catch((error) => {
      throw new Error(`KAFKA_TOKEN_URL did not answer: ${error.cause?.code ?? error.message}`);
    });
    const body = await boundedText(response);
    if (!response.ok) throw new Error(`KAFKA_TOKEN_URL answered ${response.status}`);
    return tokenOf(body, 'KAFKA_TOKEN_URL');
  });
}

/**
 * Fetches a token when half the lifetime of the last one has passed, and uses the last one until its end while none can be
 * fetched. Requests at the same time share one.
 */
function renewed(fetchToken: () => Promise<Token>): () => Promise<string> {
  let held: { readonly value: string; readonly renewAt: number; readonly endsAt: number } | undefined;
  let underWay: Promise<string> | undefined;
  const renew = async () => {
    try {
      const { value, lifetimeMs = 0 } = await within(2 * LIMIT_MS, fetchToken());
      const now = performance.now();
      held = { value, renewAt: now + lifetimeMs / 2, endsAt: now + lifetimeMs };
      return value;
    } catch (error) {
      if (held && performance.now() < held.endsAt) return held.value;
      throw error;
    }
  };
  return async () => {
    if (held && performance.now() < held.renewAt) return held.value;
    underWay ??= renew().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}

function tokenOf(json: string, source: string): Token {
  const read = grant.safeParse(jsonOf(json));
  if (!read.success) throw new Error(`${source} gave no access_token`);
  const { access_token: value, expires_in: seconds } = read.data;
  return seconds === undefined ? withLifetime(value) : { value, lifetimeMs: seconds * 1_000 };
}

/**
 * The lifetime from the token's own claims, if it is a JWT: by this machine's clock, since a command may keep tokens, and no
 * longer than it was issued for, since that clock may be behind.
 */
function withLifetime(value: string): Token {
  try {
    const now = Date.now() / 1_000;
    const { exp, iat = now } = decodeJwt(value);
    return { value, lifetimeMs: exp === undefined ? undefined : (exp - Math.max(iat, now)) * 1_000 };
  } catch {
    return { value, lifetimeMs: undefined };
  }
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > LIMIT_BYTES) throw new Error(`KAFKA_TOKEN_URL answered with more than ${LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function lastLine(text: string): string {
  return (text.trim().split('\n').at(-1) ?? '').slice(0, 200);
}

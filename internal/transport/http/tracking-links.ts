/** Links to follow one order without a login: whoever has the link may read that order, or also change it, until it expires. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { TiffinError } from '../../domain/errors.ts';
import type { OrderId } from '../../domain/order.ts';
import type { Clock } from '../../service/ports.ts';

export interface TrackingLink {
  readonly orderId: OrderId;
  /** `change` is to cancel and to reschedule, and to read. */
  readonly may: 'read' | 'change';
  /** Epoch ms, whole seconds. */
  readonly expiresAt: number;
}

export interface TrackingLinks {
  /** Letters, digits and `.`, `-`, `_`, `~`, so it needs no escaping in a URL (RFC 3986, section 2.3); at most 98 characters. */
  tokenOf(link: TrackingLink): string;
  /** Throws UNKNOWN_LINK for a token that this installation did not make, LINK_EXPIRED for one that has expired. */
  read(token: string): TrackingLink;
}

const RIGHTS = { r: 'read', c: 'change' } as const;
const TOKEN = /^(([A-Za-z0-9._-]{1,64})~([rc])~([0-9a-z]{1,8}))~([\w-]{22})$/;
/** Whether a text has the form of a token, such as one that was copied in full. */
export function isTokenLike(text: string): boolean {
  return TOKEN.test(text);
}

/** Half of SHA-256's output, as RFC 2104, section 5, allows: 2^128 tokens for each link. */
const MAC_BYTES = 16;

/**
 * A token is `order id~right~expiry~mac`: the expiry in seconds, base 36; the mac is HMAC-SHA-256 (RFC 2104) of what stands before
 * it. Nothing is stored for a link, so making one costs no write; another secret revokes all of them.
 */
export function trackingLinks(secret: string, clock: Clock): TrackingLinks {
  const macOf = (claims: string) =>
    createHmac('sha256', secret)
      .update(`tracking link ${claims}`)
      .digest()
      .toString('base64url', 0, MAC_BYTES);

  return {
    tokenOf({ orderId, may, expiresAt }) {
      const claims = `${orderId}~${may.charAt(0)}~${Math.trunc(expiresAt / 1_000).toString(36)}`;
      return `${claims}~${macOf(claims)}`;
    },
    read(token) {
      const [, claims = '', orderId = '', right, expiry = '', mac = ''] = TOKEN.exec(token) ?? [];
      if (claims === '' || !timingSafeEqual(Buffer.from(macOf(claims)), Buffer.from(mac)))
        throw new TiffinError('UNKNOWN_LINK', 'there is no such link; it may have been copied in part');
      const expiresAt = Number.parseInt(expiry, 36) * 1_000;
      if (expiresAt <= clock.now()) throw new TiffinError('LINK_EXPIRED', 'this link has expired');
      return { orderId: orderId as OrderId, may: RIGHTS[right as keyof typeof RIGHTS], expiresAt };
    },
  };
}

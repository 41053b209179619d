/** Refuses requests that a browser sends for a page of another site, where no token protects the routes. */
import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import { TiffinError } from '../../domain/errors.ts';

/** The names of this machine in a Host header, with any port. */
const OWN_HOST = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d+)?$/i;

/**
 * For a server that only this machine can reach. A page whose own name was made to resolve to 127.0.0.1 (DNS rebinding)
 * shows itself by the Host header, any other page by Sec-Fetch-Site, in older browsers by Origin. Clients that are no
 * browsers send neither of the last two. Throws FORBIDDEN.
 */
export function refuseForeignPages({ req }: Context): void {
  const { host, origin } = req.headers;
  const site = req.headers['sec-fetch-site'];
  const foreign = namesOf(req).find((name) => !OWN_HOST.test(name));
  if (foreign !== undefined)
    throw forbidden(
      `'${foreign}' is not a name of this server; without authentication it answers to localhost`,
    );
  const isForeign =
    site === undefined
      ? origin !== undefined && origin.toLowerCase() !== `http://${host}`.toLowerCase()
      : site !== 'same-origin' && site !== 'none';
  if (isForeign) throw forbidden('pages of other sites may not use this server');
}

/** Every name that the request gives this server: in each Host header, and in a target such as `http://name/path`. */
function namesOf({ headersDistinct, url }: IncomingMessage): readonly string[] {
  const target = /^\w+:\/\/([^/?#]*)/.exec(url ?? '')?.[1];
  return [...(headersDistinct.host ?? []), ...(target === undefined ? [] : [target])];
}

/**
 * For a server behind something that decides who may come in, and may change Host and Origin on the way: only what the
 * browser itself calls cross-site is refused, since that something may have let the user in by a cookie. Throws FORBIDDEN.
 */
export function refuseCrossSite({ req }: Context): void {
  if (req.headers['sec-fetch-site'] === 'cross-site')
    throw forbidden('pages of other sites may not use this server');
}

function forbidden(detail: string): TiffinError {
  return new TiffinError('FORBIDDEN', detail);
}

/** Reads and parses a JSON body of limited size. */
import { isUtf8 } from 'node:buffer';
import type { Context } from 'koa';
import getRawBody from 'raw-body';
import { TiffinError } from '../../domain/errors.ts';

/** Largest accepted body, bytes. */
const MAX_BODY = 64 * 1024;

/** Returns `undefined` for an absent body if `optional`. Throws UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE or MALFORMED_JSON. */
export async function readJson(ctx: Context, { optional = false } = {}): Promise<unknown> {
  const length = ctx.request.length;
  if (optional && (length === 0 || (length === undefined && !ctx.req.headers['transfer-encoding'])))
    return undefined;
  return parseJson(await readText(ctx));
}

/** Returns a JSON body as unparsed text, for signatures. Throws UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE or MALFORMED_JSON. */
export async function readText(ctx: Context): Promise<string> {
  const type = ctx.req.headers['content-type'] ?? '';
  if (!/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type)) {
    throw new TiffinError(
      'UNSUPPORTED_MEDIA_TYPE',
      `the body must be application/json, not ${type ? `'${type}'` : 'without a type'}`,
    );
  }
  const charset = /;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(type)?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset))
    throw new TiffinError('UNSUPPORTED_MEDIA_TYPE', `the body must be UTF-8, not '${charset}'`);
  const encoding = ctx.req.headers['content-encoding'];
  if (encoding && encoding !== 'identity') {
    throw new TiffinError('UNSUPPORTED_MEDIA_TYPE', `the body must not be encoded; it is '${encoding}'`);
  }
  const body = await readWithin(ctx);
  // Decoding would replace what is wrong by U+FFFD, which would then be stored.
  if (!isUtf8(body)) throw new TiffinError('MALFORMED_JSON', 'the body is not UTF-8');
  return body.toString();
}

/** How deep arrays and objects may be nested: no body needs more than five levels. */
const MAX_DEPTH = 32;

/** Throws MALFORMED_JSON. */
export function parseJson(text: string): unknown {
  if (depthOf(text) > MAX_DEPTH)
    throw new TiffinError('MALFORMED_JSON', `the body is nested deeper than ${MAX_DEPTH} levels`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TiffinError('MALFORMED_JSON', `the body is not JSON: ${(error as Error).message}`);
  }
}

/** The nesting of JSON, without building it; of other text, some number. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (isInString) {
      if (char === '\\') at += 1;
      else if (char === '"') isInString = false;
    } else if (char === '"') isInString = true;
    else if (char === '[' || char === '{') deepest = Math.max(deepest, ++depth);
    else if (char === ']' || char === '}') depth -= 1;
  }
  return deepest;
}

async function readWithin(ctx: Context): Promise<Buffer> {
  try {
    return await getRawBody(ctx.req, { limit: MAX_BODY, length: ctx.request.length });
  } catch (error) {
    const type = (error as { type?: string }).type;
    if (type === 'entity.too.large') {
      // The rest of the body stays unread, so the connection cannot be reused for another request.
      ctx.set('Connection', 'close');
      throw new TiffinError('BODY_TOO_LARGE', `the body must be at most ${MAX_BODY} bytes`);
    }
    if (type === 'request.aborted' || type === 'request.size.invalid') {
      throw new TiffinError('MALFORMED_JSON', 'the body ended early');
    }
    throw error;
  }
}

/** Server-Sent Events (WHATWG HTML, 9.2): opens streams, and limits how many are open and for how long. */
import { PassThrough } from 'node:stream';
import type { Context } from 'koa';
import { TiffinError } from '../../../../domain/errors.ts';
import type { Principal } from '../../principal.ts';

const HEARTBEAT_MS = 15_000;
/** How long a client may take to read the rest of a stream that has ended, ms; less when the server stops. */
const ENDING_MS = 30_000;
const STOPPING_MS = 2_000;
/** The longest time of a Node timer, ms. */
const LONGEST_MS = 2 ** 31 - 1;

export interface StreamLimits {
  readonly all: number;
  /** For each principal with a token. */
  readonly each: number;
}

export interface LiveStreams {
  /**
   * Responds with a stream, which ends when the principal's token does; throws OVERLOADED or TOO_MANY_STREAMS above the
   * limits. Calls `onClose` once, when either side has ended it.
   */
  open(ctx: Context, principal: Principal, onClose: () => void): LiveStream;
  /** Ends all streams, so that the server can stop. */
  endAll(): void;
}

export interface LiveStream {
  /**
   * Sends `data` as JSON. A client that reconnects names the last `id` that it got. Drops the connection of a client that
   * reads too slowly, which bounds the memory.
   */
  send(event: string, data: unknown, id?: string): void;
  end(): void;
}

export function liveStreams(limits: StreamLimits): LiveStreams {
  /** With the owner of each; undefined without authentication, where all principals are one. */
  const open = new Map<PassThrough, string | undefined>();
  return {
    open(ctx, { subject, roles, expiresAt }, onClose) {
      const owner = expiresAt === undefined ? undefined : JSON.stringify([subject, roles]);
      if (open.size >= limits.all) throw new TiffinError('OVERLOADED', 'too many streams are open');
      if (owner !== undefined && [...open.values()].filter((one) => one === owner).length >= limits.each)
        throw new TiffinError('TOO_MANY_STREAMS', `'${subject}' has ${limits.each} streams open already`);
      const body = new PassThrough({ highWaterMark: 1 << 18 });
      const write = (text: string) => {
        // After `end` the stream is not writable, although a slow client may still be reading.
        if (body.writable && !body.write(text)) body.destroy();
      };
      const heartbeat = setInterval(() => write(': still here\n\n'), HEARTBEAT_MS);
      const expiry =
        expiresAt !== undefined &&
        setTimeout(() => finish(body, ENDING_MS), Math.min(Math.max(expiresAt - Date.now(), 0), LONGEST_MS));
      open.set(body, owner);
      body.once('close', () => {
        clearInterval(heartbeat);
        if (expiry) clearTimeout(expiry);
        open.delete(body);
        onClose();
      });
      ctx.status = 200;
      ctx.type = 'text/event-stream';
      ctx.set({ 'Cache-Control': 'no-cache, no-transform', 'X-Accel-Buffering': 'no' });
      ctx.body = body;
      ctx.res.once('close', () => body.destroy());
      return {
        send: (event, data, id) =>
          write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
        end: () => finish(body, ENDING_MS),
      };
    },
    endAll() {
      for (const body of open.keys()) finish(body, STOPPING_MS);
    },
  };
}

/** Ends the stream, also when its client does not read the rest. */
function finish(body: PassThrough, withinMs: number): void {
  body.end();
  setTimeout(() => body.destroy(), withinMs).unref();
}

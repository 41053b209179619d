/** Server-Sent Events (WHATWG HTML, 9.2): opens streams, shares them out, and cuts those whose clients do not read. */
import { PassThrough } from 'node:stream';
import type { Context } from 'koa';
import { TiffinError } from '../../../../domain/errors.ts';
import type { Principal } from '../../principal.ts';

const HEARTBEAT_MS = 15_000;
/** How long a client may take to read the rest of a stream that has ended, ms; less when the server needs its place. */
const ENDING_MS = 30_000;
const STOPPING_MS = 2_000;
/** The longest time of a Node timer, ms. */
const LONGEST_MS = 2 ** 31 - 1;

export interface StreamLimits {
  readonly all: number;
  /** For each principal with a token. */
  readonly each: number;
  /** A client that has something left to read at two heartbeats in a row is dropped, ms. */
  readonly heartbeatMs?: number;
}

export interface LiveStreams {
  /**
   * Responds with a stream, which ends when the principal's token does. When all places are taken, a principal gets one of
   * those who have at least two more than it; else throws OVERLOADED, and TOO_MANY_STREAMS above its own limit. Calls
   * `onClose` once, when either side has ended the stream.
   */
  open(ctx: Context, principal: Principal, onClose: () => void): LiveStream;
  /** Ends all streams, so that the server can stop. */
  endAll(): void;
}

/** An event as it is written to a stream; one message may be sent to many streams, which share its bytes. */
export interface Message {
  readonly event: string;
  readonly bytes: Buffer;
}

/** `data` is sent as JSON. A client that reconnects names the last `id` that it got. */
export function message(event: string, data: unknown, id?: string): Message {
  const fields = `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
  return { event, bytes: Buffer.from(fields) };
}

export interface LiveStream {
  /**
   * Sends a message. While the client has not read what was sent before, only the latest of each event is kept, which
   * bounds the memory.
   */
  send(message: Message): void;
  /** Ends the stream after everything was sent. */
  end(): void;
}

export function liveStreams(limits: StreamLimits): LiveStreams {
  /** The open streams of each owner, oldest first; without authentication all principals are one. */
  const open = new Map<string, Set<PassThrough>>();

  function makePlace(owner: string): void {
    const all = [...open.values()];
    if (all.reduce((sum, { size }) => sum + size, 0) < limits.all) return;
    const most = all.reduce((one, other) => (other.size > one.size ? other : one));
    if (most.size < (open.get(owner)?.size ?? 0) + 2)
      throw new TiffinError('OVERLOADED', 'too many streams are open');
    const [oldest] = [...most] as [PassThrough];
    finish(oldest, STOPPING_MS);
    forget(oldest);
  }

  function forget(body: PassThrough): void {
    for (const [owner, own] of open) if (own.delete(body) && own.size === 0) open.delete(owner);
  }

  return {
    open(ctx, { subject, roles, expiresAt }, onClose) {
      const owner = expiresAt === undefined ? '' : JSON.stringify([subject, roles]);
      if (owner && (open.get(owner)?.size ?? 0) >= limits.each)
        throw new TiffinError('TOO_MANY_STREAMS', `'${subject}' has ${limits.each} streams open already`);
      makePlace(owner);
      const body = new PassThrough();
      open.set(owner, (open.get(owner) ?? new Set()).add(body));
      const heartbeat = setInterval(beat(body, ctx), limits.heartbeatMs ?? HEARTBEAT_MS);
      const expiry =
        expiresAt !== undefined &&
        setTimeout(() => finish(body, ENDING_MS), Math.min(Math.max(expiresAt - Date.now(), 0), LONGEST_MS));
      body.once('close', () => {
        clearInterval(heartbeat);
        if (expiry) clearTimeout(expiry);
        forget(body);
        onClose();
      });
      ctx.status = 200;
      ctx.type = 'text/event-stream';
      ctx.set({ 'Cache-Control': 'no-cache, no-transform', 'X-Accel-Buffering': 'no' });
      ctx.body = body;
      // Of a request that waits behind another one on its connection, only the request learns that the client is gone.
      ctx.req.once('close', () => body.destroy());
      return sender(body);
    },
    endAll() {
      for (const own of open.values()) for (const body of own) finish(body, STOPPING_MS);
    },
  };
}

/** Sends a heartbeat; drops a client that has had something left to read at this beat and at the one before. */
function beat(body: PassThrough, { res }: Context): () => void {
  let wasBehind = false;
  return () => {
    const isBehind = body.readableLength + body.writableLength + res.writableLength > 0;
    if (isBehind && wasBehind) body.destroy();
    // After `end` the stream is not writable, although a slow client may still be reading.
    else if (body.writable && !isBehind) body.write(': still here\n\n');
    wasBehind = isBehind;
  };
}

function sender(body: PassThrough): LiveStream {
  const waiting = new Map<string, Buffer>();
  let isOver = false;
  const flush = () => {
    for (const [event, bytes] of waiting) {
      if (!body.writable || body.writableNeedDrain) return;
      waiting.delete(event);
      body.write(bytes);
    }
    if (isOver) body.end();
  };
  body.on('drain', flush);
  return {
    send({ event, bytes }) {
      if (isOver) return;
      waiting.set(event, bytes);
      flush();
    },
    end() {
      isOver = true;
      flush();
      setTimeout(() => body.destroy(), ENDING_MS).unref();
    },
  };
}

/** Ends the stream, also when its client does not read the rest. */
function finish(body: PassThrough, withinMs: number): void {
  body.end();
  setTimeout(() => body.destroy(), withinMs).unref();
}

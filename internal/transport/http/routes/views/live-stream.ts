/** Server-Sent Events (WHATWG HTML, 9.2): opens one stream per client and limits how many are open. */
import { PassThrough } from 'node:stream';
import type { Context } from 'koa';
import { TiffinError } from '../../../../domain/errors.ts';

const HEARTBEAT_MS = 15_000;
/** How long a client may take to read the rest of a stream that has ended, ms. */
const ENDING_MS = 2_000;

export interface LiveStreams {
  /** Responds with a stream; throws OVERLOADED above the limit. Calls `onClose` once, when either side has ended it. */
  open(ctx: Context, onClose: () => void): LiveStream;
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

/** At most `limit` streams are open at a time. */
export function liveStreams(limit: number): LiveStreams {
  const open = new Set<PassThrough>();
  return {
    open(ctx, onClose) {
      if (open.size >= limit) throw new TiffinError('OVERLOADED', 'too many streams are open');
      const body = new PassThrough({ highWaterMark: 1 << 18 });
      const write = (text: string) => {
        // After `end` the stream is not writable, although a slow client may still be reading.
        if (body.writable && !body.write(text)) body.destroy();
      };
      const heartbeat = setInterval(() => write(': still here\n\n'), HEARTBEAT_MS);
      open.add(body);
      body.once('close', () => {
        clearInterval(heartbeat);
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
        end: () => void body.end(),
      };
    },
    endAll() {
      for (const body of open) {
        body.end();
        setTimeout(() => body.destroy(), ENDING_MS).unref();
      }
    },
  };
}

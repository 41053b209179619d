/** Server-Sent Events (WHATWG HTML, 9.2): one stream a client, which is ended by either side. */
import { PassThrough } from 'node:stream';
import type { Context } from 'koa';
import { TiffinError } from '../../../../domain/errors.ts';

const HEARTBEAT_MS = 15_000;

export interface LiveStreams {
  /** Answers with a stream; throws OVERLOADED where there are too many. `closed` is called once, whoever ended it. */
  open(ctx: Context, closed: () => void): LiveStream;
  /** Ends all of them, so that the server can stop. */
  endAll(): void;
}

export interface LiveStream {
  /** `data` is sent as JSON. What a slow client has not read yet is dropped with it, so that nothing piles up. */
  send(event: string, data: unknown): void;
  end(): void;
}

/** `most` streams at a time. */
export function liveStreams(most: number): LiveStreams {
  const open = new Set<PassThrough>();
  return {
    open(ctx, closed) {
      if (open.size >= most) throw new TiffinError('OVERLOADED', 'too many streams are open');
      const body = new PassThrough({ highWaterMark: 1 << 18 });
      const write = (text: string) => {
        // The last words may still be on their way to a slow client.
        if (body.writable && !body.write(text)) body.destroy();
      };
      const heartbeat = setInterval(() => write(': still here\n\n'), HEARTBEAT_MS);
      open.add(body);
      body.once('close', () => {
        clearInterval(heartbeat);
        open.delete(body);
        closed();
      });
      ctx.status = 200;
      ctx.type = 'text/event-stream';
      ctx.set({ 'Cache-Control': 'no-cache, no-transform', 'X-Accel-Buffering': 'no' });
      ctx.body = body;
      ctx.res.once('close', () => body.destroy());
      return {
        send: (event, data) => write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
        end: () => void body.end(),
      };
    },
    endAll() {
      for (const body of open) body.end();
    },
  };
}

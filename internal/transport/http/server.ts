/** The HTTP server: bounds how long a request may take to arrive, and closes without waiting for clients that stall. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';

export interface ServerLimits {
  /** Longest time for a request to arrive, headers and body, and for a new connection to stay silent, ms. */
  readonly arrivalMs: number;
  /** How often that is checked, ms. */
  readonly checkMs: number;
  /** How long a closing server waits for requests that have not arrived completely, ms. */
  readonly unfinishedMs: number;
  /** How long a closing server waits at all; after that a client does not read its answer, or a handler hangs, ms. */
  readonly closeMs: number;
}

/** With the check each second, a slow request ends within 30 s. Closing leaves time to drain within the 30 s of a stop. */
const LIMITS: ServerLimits = { arrivalMs: 29_000, checkMs: 1_000, unfinishedMs: 2_000, closeMs: 20_000 };
/** Longer than the 60 s of load balancers: a connection that the server closes first may lose a request just sent. */
const KEEP_ALIVE_MS = 75_000;

export interface HttpServer {
  readonly server: Server;
  /** Accepts no new connections, and closes each open one after its current response. */
  close(): Promise<void>;
}

export function httpServer(listener: RequestListener, limits: Partial<ServerLimits> = {}): HttpServer {
  const { arrivalMs, checkMs, unfinishedMs, closeMs } = { ...LIMITS, ...limits };
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: arrivalMs,
      connectionsCheckingInterval: checkMs,
    },
    listener,
  );
  const connections = requestsOf(server);
  return {
    server,
    async close() {
      // The HTTP server's own method would cut answers that are not written out yet.
      NetServer.prototype.close.call(server);
      const started = performance.now();
      const closing = setInterval(() => {
        const waited = performance.now() - started;
        const isOver = (state: State) =>
          state === 'idle' || waited > closeMs || (waited > unfinishedMs && !isArrived(state));
        for (const [socket, state] of connections) if (isOver(state)) socket.destroy();
      }, 20);
      await once(server, 'close');
      clearInterval(closing);
    },
  };
}

/** What a connection does: nothing has arrived on it yet, a request is handled, or the last one was answered. */
type State = 'new' | IncomingMessage | 'idle';

function isArrived(state: State): boolean {
  return typeof state === 'object' && state.complete;
}

/** Every open connection. A request is handled from the end of its headers until its answer is written out. */
function requestsOf(server: Server): ReadonlyMap<Socket, State> {
  const connections = new Map<Socket, State>();
  server.on('connection', (socket) => {
    connections.set(socket, 'new');
    socket.once('close', () => connections.delete(socket));
  });
  server.on('request', (request, response) => {
    const { socket } = request;
    connections.set(socket, request);
    response.once('close', () => {
      if (connections.get(socket) === request) connections.set(socket, 'idle');
    });
  });
  return connections;
}

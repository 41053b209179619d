/** Notifies listeners of the ids that are published on a channel; all listeners of a channel share one Redis connection. */
import { Cluster, type Redis } from 'ioredis';

export interface Listener {
  /** Calls `notify` for the id, and when ids may have been missed; returns a function that ends it. */
  listen(id: string, notify: () => void): () => void;
  close(): void;
}

/** Pause before another node of a cluster is subscribed to. */
const AGAIN_MS = 250;
/**
 * How often the subscription is repeated. A connection that only listens would not show that it has died without a word; one
 * that gets no answer is replaced (`socketTimeout`). A subscription that was refused is tried again.
 */
const REPEAT_MS = 1_000;

export function redisListener(redis: Redis | Cluster, channel: string): Listener {
  const listeners = new Map<string, Set<() => void>>();
  let unsubscribe: (() => void) | undefined;
  return {
    listen(wanted, listener) {
      unsubscribe ??= subscribe(redis, channel, (id) => {
        const affected = id === undefined ? [...listeners.values()] : [listeners.get(id) ?? []];
        for (const group of affected) for (const notify of group) notify();
      });
      const own = listeners.get(wanted) ?? new Set();
      listeners.set(wanted, own.add(listener));
      return () => {
        own.delete(listener);
        if (own.size === 0 && listeners.get(wanted) === own) listeners.delete(wanted);
      };
    },
    close: () => unsubscribe?.(),
  };
}

/**
 * Subscribes a connection: `onChange` gets each id, or undefined after a reconnect, when ids may have been missed. In a
 * cluster every node passes on what is published at any of them; when the connection ends, another node is chosen.
 */
function subscribe(redis: Redis | Cluster, channel: string, onChange: (id?: string) => void): () => void {
  let connection: Redis | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let isSubscribed = false;
  const repeat = setInterval(listen, REPEAT_MS).unref();

  function listen(): void {
    if (connection?.status !== 'ready') return;
    connection.subscribe(channel).then(
      () => {
        if (!isSubscribed) onChange();
        isSubscribed = true;
      },
      () => {},
    );
  }

  function connect(): void {
    const nodes = redis instanceof Cluster ? redis.nodes() : [redis];
    const node = nodes[Math.floor(Math.random() * nodes.length)];
    if (!node) {
      again();
      return;
    }
    connection = node.duplicate({
      // With autoResubscribe, ioredis ends the process if the connection is lost while it resubscribes.
      autoResubscribe: false,
      maxRetriesPerRequest: null,
      commandTimeout: undefined,
      lazyConnect: false,
    });
    connection.on('error', () => {});
    connection.on('message', (_channel, id: string) => onChange(id));
    connection.on('close', () => {
      isSubscribed = false;
    });
    connection.on('ready', listen);
    connection.on('end', again);
  }

  function again(): void {
    if (!isClosed) timer = setTimeout(connect, AGAIN_MS).unref();
  }

  connect();
  return () => {
    isClosed = true;
    clearInterval(repeat);
    clearTimeout(timer);
    connection?.disconnect();
  };
}

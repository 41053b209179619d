/** The views of orders in Redis, under the keys that outside readers know. */
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { FOOD_ORDERING, foodTimeline, orderManagerStatus } from '../../domain/dialects.ts';
import type { OrderId } from '../../domain/order.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import type { Clock, Log } from '../../service/ports.ts';
import type { OrderView, OrderViews } from '../../service/views/ports.ts';
import { asUnavailable } from './connection.ts';

const PUT = { lua: readFileSync(new URL('./put-view.lua', import.meta.url), 'utf8'), numberOfKeys: 3 };

declare module 'ioredis' {
  interface ChainableCommander {
    /** put-view.lua. */
    putView(...keysAndArguments: (string | number)[]): ChainableCommander;
  }
}

const LAST_ORDERS = 20;
const LAST_ORDERS_TTL_S = 86_400;

export interface ViewOptions {
  /** How long `order_status:<id>` lives, seconds. */
  readonly statusTtlS: number;
  /** The channel on which a view that was stored is told. */
  readonly channel: string;
}

export function redisOrderViews(redis: Redis, clock: Clock, log: Log, options: ViewOptions): OrderViews {
  redis.defineCommand('putView', PUT);
  let isAway = false;

  function argumentsOf({ order, ...rest }: OrderView): (string | number)[] {
    const isRecent = order.createdAt > clock.now() - LAST_ORDERS_TTL_S * 1_000;
    const list = order.customerId !== undefined && isRecent;
    const key = `order:${order.id}`;
    return [
      key,
      `order_status:${order.id}`,
      list ? `customer:${order.customerId}:last_orders` : key,
      ...rest.revision,
      JSON.stringify(snapshotOf({ order, ...rest })),
      JSON.stringify(orderManagerStatus(order)),
      options.statusTtlS,
      order.id,
      list ? LAST_ORDERS : 0,
      LAST_ORDERS_TTL_S,
      options.channel,
    ];
  }

  return {
    async put(views) {
      if (views.length === 0) return;
      const pipeline = redis.pipeline();
      for (const view of views) pipeline.putView(...argumentsOf(view));
      for (const [error] of (await asUnavailable(pipeline.exec())) ?? [])
        if (error) await asUnavailable(Promise.reject(error));
    },
    async get(orderId) {
      try {
        const text = await redis.get(`order:${orderId}`);
        isAway = false;
        return text ? viewOf(text) : undefined;
      } catch (error) {
        if (!isAway) log.warn({ err: error }, 'the cache is away; orders are read from the database');
        isAway = true;
        return undefined;
      }
    },
  };
}

/** The fields of the food-ordering document at the top; `view` is all of it. The revision stands first, for the script. */
function snapshotOf(view: OrderView) {
  const { order, delivery, revision } = view;
  return {
    revision,
    orderId: order.id,
    customerId: order.customerId,
    restaurantId: order.restaurantId,
    status: FOOD_ORDERING[order.status],
    version: order.version,
    updatedAt: toRfc3339(order.updatedAt),
    timeline: foodTimeline(order),
    ...(delivery?.eta ? { eta: toRfc3339(delivery.eta.median) } : {}),
    view,
  };
}

function viewOf(text: string): OrderView | undefined {
  try {
    return (JSON.parse(text) as { view?: OrderView }).view;
  } catch {
    // Somebody else's; it is not to be trusted, and the next change replaces it.
    return undefined;
  }
}

/** Tells who listens to an order that its view has changed. One connection listens for all of them. */
export interface ViewListener {
  listen(orderId: OrderId, listener: () => void): () => void;
  close(): void;
}

export function redisViewListener(redis: Redis, channel: string): ViewListener {
  const listeners = new Map<string, Set<() => void>>();
  let connection: Redis | undefined;
  return {
    listen(orderId, listener) {
      if (!connection) {
        connection = subscribed(redis, channel, (id) => {
          const told = id === undefined ? [...listeners.values()] : [listeners.get(id) ?? []];
          for (const own of told) for (const tell of own) tell();
        });
      }
      const own = listeners.get(orderId) ?? new Set();
      listeners.set(orderId, own.add(listener));
      return () => {
        own.delete(listener);
        if (own.size === 0) listeners.delete(orderId);
      };
    },
    close: () => connection?.disconnect(),
  };
}

/** A connection that calls back with each id on the channel, and without one whenever ids may have been missed. */
function subscribed(redis: Redis, channel: string, heard: (orderId?: string) => void): Redis {
  // Left to itself, ioredis lets a second loss of the connection while it subscribes again end the process.
  const options = { autoResubscribe: false, maxRetriesPerRequest: null, commandTimeout: undefined };
  const connection = redis.duplicate(options);
  connection.on('error', () => {});
  connection.on('message', (_channel, id: string) => heard(id));
  connection.on('ready', () =>
    connection.subscribe(channel).then(
      () => heard(),
      () => {},
    ),
  );
  return connection;
}

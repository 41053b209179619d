/** Stores and reads order views in Redis under keys that external readers use, and subscribes to their changes. */
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { FOOD_ORDERING, foodTimeline, orderManagerStatus } from '../../domain/dialects.ts';
import { TiffinError } from '../../domain/errors.ts';
import { isFinal, type OrderId } from '../../domain/order.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import type { Clock, Log } from '../../service/ports.ts';
import { within } from '../../service/time-limit.ts';
import type { OrderView, OrderViews } from '../../service/views/ports.ts';
import { asUnavailable } from './connection.ts';

const PUT = { lua: readFileSync(new URL('./put-view.lua', import.meta.url), 'utf8'), numberOfKeys: 3 };

declare module 'ioredis' {
  interface ChainableCommander {
    /** put-view.lua. */
    putView(...keysAndArguments: (string | number)[]): ChainableCommander;
  }
}

/** After this time an order is read from Postgres instead. */
const READ_LIMIT_MS = 250;
const LAST_ORDERS = 20;
const LAST_ORDERS_TTL_S = 86_400;

/** The prefix of an installation that has the keys of external readers as they are; every other one puts its own before them. */
const LITERAL_KEYS = 'tiffin';
/** Version of the form of a snapshot's `view`; a change of the form raises it. */
const FORM = 1;
/** Expiry of every snapshot while the memory of Redis is nearly full, seconds. */
const SHORT_TTL_S = 10;

export interface ViewOptions {
  /** Separates the keys of installations that share a Redis. */
  readonly prefix: string;
  /** Identifies the database that the views are of; views of another one are ignored and replaced. */
  readonly databaseId: string;
  /** Expiry of `order_status:<id>`, seconds. */
  readonly statusTtlS: number;
  /** Expiry of the snapshot of an order that has ended, seconds; 0 for none. */
  readonly endedTtlS: number;
  /** Pub/sub channel on which the order id of each stored view is published. */
  readonly channel: string;
  /** True while the memory of Redis is needed for the schedule. */
  readonly isNearlyFull: () => Promise<boolean>;
}

export function redisOrderViews(redis: Redis, clock: Clock, log: Log, options: ViewOptions): OrderViews {
  redis.defineCommand('putView', PUT);
  const origin = `${options.databaseId}/${FORM}`;
  const own = options.prefix === LITERAL_KEYS ? '' : `${options.prefix}:`;
  const snapshotKey = (id: OrderId) => `${own}order:${id}`;
  let isDown = false;

  function argumentsOf(view: OrderView, isNearlyFull: boolean): (string | number)[] {
    const { order, revision } = view;
    const isRecent = order.createdAt > clock.now() - LAST_ORDERS_TTL_S * 1_000;
    const list = order.customerId !== undefined && isRecent;
    const key = snapshotKey(order.id);
    const ttlS = isFinal(order.status) ? options.endedTtlS : 0;
    return [
      key,
      `${own}order_status:${order.id}`,
      list ? `${own}customer:${order.customerId}:last_orders` : key,
      ...revision,
      origin,
      JSON.stringify(snapshotOf(view, origin)),
      isNearlyFull ? SHORT_TTL_S : ttlS,
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
      const isNearlyFull = await options.isNearlyFull();
      const pipeline = redis.pipeline();
      for (const view of views) pipeline.putView(...argumentsOf(view, isNearlyFull));
      for (const [error] of (await asUnavailable(pipeline.exec())) ?? [])
        if (error) await asUnavailable(Promise.reject(error));
    },
    async get(orderId) {
      try {
        if (redis.status !== 'ready') throw new TiffinError('UNAVAILABLE', 'Redis is not connected');
        const text = await within(READ_LIMIT_MS, redis.get(snapshotKey(orderId)), 'Redis');
        isDown = false;
        return text ? viewOf(text, orderId, origin) : undefined;
      } catch (error) {
        if (!isDown) log.warn({ err: error }, 'the cache is unavailable; orders are read from the database');
        isDown = true;
        return undefined;
      }
    },
  };
}

/**
 * The food-ordering fields, plus the whole view as `view`, without what no reader of a view needs to know. The revision and
 * the origin must come first: put-view.lua reads them there.
 */
function snapshotOf({ order, ...rest }: OrderView, origin: string) {
  const { contact: _contact, paymentToken: _token, ...shown } = order;
  return {
    revision: rest.revision,
    origin,
    orderId: order.id,
    customerId: order.customerId,
    restaurantId: order.restaurantId,
    status: FOOD_ORDERING[order.status],
    version: order.version,
    updatedAt: toRfc3339(order.updatedAt),
    timeline: foodTimeline(order),
    ...(rest.delivery?.eta ? { eta: toRfc3339(rest.delivery.eta.median) } : {}),
    view: { order: shown, ...rest },
  };
}

/** Undefined for a value that is not a view of this order from this origin; the next view of the order replaces it. */
function viewOf(text: string, orderId: OrderId, origin: string): OrderView | undefined {
  try {
    const snapshot = JSON.parse(text) as { origin?: unknown; view?: OrderView };
    return snapshot.origin === origin && snapshot.view?.order?.id === orderId ? snapshot.view : undefined;
  } catch {
    return undefined;
  }
}

/** Notifies listeners when an order's view changes; all listeners share one Redis connection. */
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
          const affected = id === undefined ? [...listeners.values()] : [listeners.get(id) ?? []];
          for (const group of affected) for (const notify of group) notify();
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

/** Subscribes a connection: `onChange` gets each order id, or undefined after a reconnect, when ids may have been missed. */
function subscribed(redis: Redis, channel: string, onChange: (orderId?: string) => void): Redis {
  // With autoResubscribe, ioredis ends the process if the connection is lost while it resubscribes.
  const options = { autoResubscribe: false, maxRetriesPerRequest: null, commandTimeout: undefined };
  const connection = redis.duplicate(options);
  connection.on('error', () => {});
  connection.on('message', (_channel, id: string) => onChange(id));
  connection.on('ready', () =>
    connection.subscribe(channel).then(
      () => onChange(),
      () => {},
    ),
  );
  return connection;
}

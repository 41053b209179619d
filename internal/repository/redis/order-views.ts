/** Stores and reads order views in Redis under keys that external readers use. */
import type { Cluster, Redis } from 'ioredis';
import { FOOD_ORDERING, foodTimeline, orderManagerStatus } from '../../domain/dialects.ts';
import { TiffinError } from '../../domain/errors.ts';
import { isFinal, type OrderId } from '../../domain/order.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import type { Clock, Log } from '../../service/ports.ts';
import { within } from '../../service/time-limit.ts';
import type { OrderView, OrderViews } from '../../service/views/ports.ts';
import { type StoredView, viewStorage } from './put-views.ts';

/** After this time an order is read from Postgres instead. */
const READ_LIMIT_MS = 250;
const LAST_ORDERS = 20;
const LAST_ORDERS_TTL_S = 86_400;

/** The prefix of an installation that has the keys of external readers as they are; every other one puts its own before them. */
const LITERAL_KEYS = 'tiffin';
/** Version of the form of a snapshot's `view`; a change of the form raises it. */
const FORM = 2;
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

/** What the names of an installation's keys of views begin with. */
export function viewKeysOf(prefix: string): string {
  return prefix === LITERAL_KEYS ? '' : `${prefix}:`;
}

/** What a snapshot says about where it comes from. */
export function originOf({ databaseId }: Pick<ViewOptions, 'databaseId'>): string {
  return `${databaseId}/${FORM}`;
}

export function redisOrderViews(
  redis: Redis | Cluster,
  clock: Clock,
  log: Log,
  options: ViewOptions,
): OrderViews {
  const store = viewStorage(redis, options);
  const origin = originOf(options);
  const own = viewKeysOf(options.prefix);
  const snapshotKey = (id: OrderId) => `${own}order:${id}`;
  let isDown = false;

  function stored(view: OrderView, isNearlyFull: boolean): StoredView {
    const { order, revision } = view;
    const isRecent = order.createdAt > clock.now() - LAST_ORDERS_TTL_S * 1_000;
    const ttlS = isFinal(order.status) ? options.endedTtlS : 0;
    return {
      orderId: order.id,
      revision,
      origin,
      snapshot: {
        key: snapshotKey(order.id),
        text: JSON.stringify(snapshotOf(view, origin)),
        ttlS: isNearlyFull ? SHORT_TTL_S : ttlS,
      },
      status: {
        key: `${own}order_status:${order.id}`,
        text: JSON.stringify(orderManagerStatus(order)),
        ttlS: options.statusTtlS,
      },
      list:
        order.customerId !== undefined && isRecent
          ? {
              key: `${own}customer:${order.customerId}:last_orders`,
              length: LAST_ORDERS,
              ttlS: LAST_ORDERS_TTL_S,
            }
          : undefined,
    };
  }

  return {
    async put(views) {
      if (views.length === 0) return [];
      const isNearlyFull = await options.isNearlyFull();
      const added = await store(views.map((view) => stored(view, isNearlyFull)));
      return added.map(({ orderId }) => orderId as OrderId);
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
 * the origin must come first: view-parts.lua reads them there.
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

/** The order routes of food ordering over adapters in memory, with tokens for several principals. */

import assert from 'node:assert/strict';
import { afterEach, before, beforeEach } from 'node:test';
import { DELIVERY_RULES } from '../../../cmd/delivery-rules.ts';
import type { OrderId } from '../../../internal/domain/order.ts';
import { orderPlacer } from '../../../internal/service/orders/place-order.ts';
import type { OrderView } from '../../../internal/service/views/ports.ts';
import { jwtAuth } from '../../../internal/transport/http/auth.ts';
import {
  foodOrderingRoutes,
  foodOrderView,
} from '../../../internal/transport/http/routes/orders/food-ordering-routes.ts';
import { quoteRoutes } from '../../../internal/transport/http/routes/orders/quote-routes.ts';
import { nextId } from '../../support/builders.ts';
import { DISCOUNT_OF_TEN, type MemoryCatalogue, memoryCatalogue } from '../../support/catalogue.ts';
import { type MemoryStore, memoryStore } from '../../support/in-memory.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';
import { type Answer, type Api, startApi } from '../api.ts';
import { bearer, SECRET } from '../tokens.ts';

/** The example body of the food-ordering document. */
export const DOCUMENTED = {
  customerId: 'CUST-123',
  restaurantId: 'REST-456',
  items: [
    { itemId: 'PIZZA-001', quantity: 1 },
    { itemId: 'DRINK-003', quantity: 2 },
  ],
  deliveryAddress: { street: '2510 Lagoon Way', city: 'Anytown', state: 'CA', zipCode: '12345' },
  specialInstructions: 'Extra cheese',
};
export const ORDER = {
  customerId: 'asha',
  restaurantId: 'r1',
  items: [{ itemId: 'thali', quantity: 2 }],
  deliveryAddress: DOCUMENTED.deliveryAddress,
};
export const BY_ITEMS = {
  customerId: 'asha',
  currency: 'USD',
  items: [{ itemId: 'sushi-set', quantity: 2, unitPrice: 9.5 }],
};

export function codes(answer: Answer): string[] {
  for (const error of answer.body.errors) assert.equal(error.status, String(answer.status));
  return [
    String(answer.status),
    ...answer.body.errors.map(({ code, pointer = '' }: Record<string, string>) =>
      `${code} ${pointer}`.trim(),
    ),
  ];
}

/** Sets up the food ordering routes for each test of a suite, with a client for several principals. */
export function orderingRoom() {
  const headers: Record<string, Record<string, string>> = {};
  const room = {
    api: undefined as unknown as Api,
    store: undefined as unknown as MemoryStore,
    catalogue: undefined as unknown as MemoryCatalogue,
    views: new Map<OrderId, OrderView>(),
    isCacheAway: false,
    rebuilt: [] as OrderId[],
    ask: (who: string, method: string, path: string, body?: unknown, more = {}) =>
      room.api.ask(method, path, {
        headers: { ...headers[who], ...more },
        ...(body === undefined ? {} : { body }),
      }),
    order: (body: unknown, who = 'olga', more = {}) => room.ask(who, 'POST', '/v1/orders', body, more),
    stored: (id: string) => room.store.tables.orders.get(id as OrderId)?.order,
    count: () => room.store.tables.orders.size,
  };

  before(async () => {
    for (const [subject, role] of [
      ['asha', 'customer'],
      ['bela', 'customer'],
      ['r1', 'restaurant'],
      ['r2', 'restaurant'],
      ['ravi', 'rider'],
      ['olga', 'operator'],
    ] as const)
      headers[subject] = await bearer(subject, role);
  });
  beforeEach(async () => {
    room.store = memoryStore();
    room.catalogue = memoryCatalogue();
    room.views = new Map();
    room.rebuilt = [];
    room.isCacheAway = false;
    const clock = manualClock();
    const newEventId = () => nextId('event');
    const place = orderPlacer(
      { orders: room.store.orders, clock, meter: recordingMeter(), newEventId },
      { maxBatch: 100, concurrency: 2, maxWaiting: 100 },
    );
    const deps = {
      ...room.store,
      clock,
      newEventId,
      newOrderId: () => nextId('food'),
      place,
      catalogue: room.catalogue,
    };
    const ordering = { ...deps, pricing: DISCOUNT_OF_TEN, currency: 'USD' };
    const reading = {
      log: recordingLog(),
      viewSource: {
        async read(ids: readonly OrderId[]) {
          room.rebuilt.push(...ids);
          return (await room.store.orders.find(ids)).map((order): OrderView => ({ order, revision: [1, 0] }));
        },
      },
      views: {
        get: async (id: OrderId) => (room.isCacheAway ? undefined : room.views.get(id)),
        async put(all: readonly OrderView[]) {
          if (room.isCacheAway) throw new Error('away');
          for (const view of all) room.views.set(view.order.id, view);
          return [];
        },
      },
    };
    room.api = await startApi({
      authenticate: jwtAuth({ secret: SECRET }),
      routes: ordering,
      more: [
        ...foodOrderingRoutes({ ...ordering, now: () => clock.now() }),
        foodOrderView(reading),
        ...quoteRoutes({ ...ordering, rules: DELIVERY_RULES }),
      ],
    });
  });
  afterEach(() => room.api.close());
  return room;
}

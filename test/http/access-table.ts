/** The table of access: what each route answers to each principal. A route that is missing here fails access-table.test.ts. */
import type { OrderStatus } from '../../internal/domain/order.ts';

/** Who asks. `own` is part of the order in the request: its customer, its restaurant, its rider. */
export const PRINCIPALS = [
  'nobody',
  'own customer',
  'other customer',
  'own restaurant',
  'other restaurant',
  'own rider',
  'other rider',
  'operator',
] as const;

export interface Row {
  /** The status for each principal, in the order of PRINCIPALS; one number is the status for all. */
  readonly answers: readonly [number, number, number, number, number, number, number, number] | number;
  /** `{order}` is an order of each cell's own; `REST-456` is its restaurant, `rider-1` its rider. */
  readonly path?: string;
  readonly body?: object;
  /** In which status the order is. */
  readonly order?: OrderStatus;
}

const customers = [401, 200, 404, 403, 403, 403, 403, 200] as const;
const parties = [401, 200, 404, 200, 404, 200, 404, 200] as const;
const operators = [401, 403, 403, 403, 403, 403, 403, 200] as const;
const known = [401, 200, 200, 200, 200, 200, 200, 200] as const;
const items = [{ itemId: 'PIZZA-001', quantity: 1 }];
const deliveryAddress = { street: '1 Main St', city: 'Springfield', state: 'IL', zipCode: '62701' };
const RESTAURANT = '/v1/restaurants/REST-456/orders';
const RIDER = '/v1/riders/rider-1';
const SOON = () => new Date(Date.now() + 3_600_000).toISOString();
const JUST_NOW = () => new Date(Date.now() - 1_000).toISOString();

export const TABLE: Readonly<Record<string, Row>> = {
  // Orders: by their customer and by operators
  'POST /orders': {
    answers: [401, 201, 201, 403, 403, 403, 403, 201],
    body: { customer_name: 'Asha', total_price: 5 },
  },
  'GET /orders': { path: '/orders?id={order}', answers: customers },
  'GET /orders/:id': { answers: customers },
  'GET /v1/orders': { answers: operators },
  'POST /v1/orders/:id/cancel': { answers: customers },
  'PATCH /v1/orders/:id/schedule': { answers: customers, body: { scheduledAt: SOON() } },
  'GET /v1/orders/:id/payment': { answers: customers },
  'POST /v1/orders/:id/tracking-links': { answers: [401, 201, 404, 403, 403, 403, 403, 201] },
  // By a link alone; here by one that nobody has made
  'GET /v1/tracking/:token': { path: '/v1/tracking/forged', answers: 404 },
  'GET /v1/tracking/:token/stream': { path: '/v1/tracking/forged/stream', answers: 404 },
  'POST /v1/tracking/:token/cancel': { path: '/v1/tracking/forged/cancel', answers: 404 },
  'PATCH /v1/tracking/:token/schedule': {
    path: '/v1/tracking/forged/schedule',
    answers: 404,
    body: { scheduledAt: SOON() },
  },
  // The body names its customer, who must be the one of the token.
  'POST /v1/orders': {
    answers: [401, 201, 403, 403, 403, 403, 403, 201],
    body: { customerId: 'asha', restaurantId: 'REST-456', items, deliveryAddress },
  },
  'POST /api/v1/orders': {
    answers: [401, 202, 403, 403, 403, 403, 403, 202],
    body: { user_id: 'asha', restaurant_id: 'REST-456', items: [{ menu_item_id: 'PIZZA-001', quantity: 1 }] },
  },
  'POST /api/v1/orders/:id/cancel': { answers: customers },

  // Orders: by those who take part in them
  'GET /v1/orders/:id': { answers: parties },
  'GET /ui/orders/:id': { path: '/ui/orders/{order}?history=true', answers: parties },
  'GET /ui/orders/:id/history': { answers: parties },
  'GET /ui/orders/:id/stream': { answers: parties },
  'GET /orders/:id/status': { answers: parties },
  'GET /api/v1/orders/:id': { answers: [401, 200, 404, 200, 404, 403, 403, 200] },

  // Restaurants
  'PATCH /api/v1/orders/:id/status': {
    answers: [401, 403, 403, 200, 404, 403, 403, 200],
    body: { status: 'PREPARING' },
    order: 'CONFIRMED',
  },
  'GET /v1/restaurants/:rid/orders': {
    path: RESTAURANT,
    answers: [401, 403, 403, 200, 403, 403, 403, 200],
  },
  'GET /v1/restaurants/:rid/stream': {
    path: '/v1/restaurants/REST-456/stream',
    answers: [401, 403, 403, 200, 403, 403, 403, 200],
  },
  'POST /v1/restaurants/:rid/orders/:oid': {
    path: `${RESTAURANT}/{order}`,
    answers: [401, 403, 403, 200, 403, 403, 403, 200],
    body: { action: 'ACCEPT' },
    order: 'CONFIRMED',
  },
  'POST /api/v1/inventory/add/:rid/item': {
    path: '/api/v1/inventory/add/REST-456/item',
    answers: [401, 403, 403, 201, 403, 403, 403, 201],
    body: { name: 'Soup', price: 3, initial_qty: 1 },
  },

  // Riders
  'PUT /v1/riders/:rid': {
    path: RIDER,
    answers: [401, 403, 403, 403, 403, 200, 403, 200],
    body: { name: 'Ravi', capacity: 100 },
  },
  'POST /v1/riders/:rid/position': {
    path: `${RIDER}/position`,
    answers: [401, 403, 403, 403, 403, 204, 403, 204],
    body: { lat: 1, lng: 1 },
  },
  'GET /v1/riders/:rid/orders': {
    path: `${RIDER}/orders`,
    answers: [401, 403, 403, 403, 403, 200, 403, 200],
  },
  'GET /v1/riders/:rid/stream': {
    path: `${RIDER}/stream`,
    answers: [401, 403, 403, 403, 403, 200, 403, 200],
  },
  'PATCH /v1/riders/:rid/orders/:id': {
    path: `${RIDER}/orders/{order}`,
    answers: [401, 403, 403, 403, 403, 204, 403, 204],
    body: { status: 'PICKED_UP', timestamp: JUST_NOW() },
    order: 'RIDER_ASSIGNED',
  },

  // Everyone with a token
  'GET /api/v1/inventory/:id': { path: '/api/v1/inventory/PIZZA-001', answers: known },
  'POST /check_inventory': { answers: known, body: { items: [{ item_id: 'PIZZA-001', quantity: 1 }] } },
  'POST /calculate_price': {
    answers: known,
    body: { order_id: 'o', items: [{ item_id: 'PIZZA-001', quantity: 1, price: 2 }] },
  },

  // Operators
  'POST /api/v1/inventory/add/restaurant': {
    answers: [401, 403, 403, 403, 403, 403, 403, 201],
    body: { name: 'Corner' },
  },
  'GET /scheduler': { answers: operators },
  'POST /scheduler/pause': { answers: operators },
  'POST /scheduler/resume': { answers: operators },
  'GET /admin/dlq': { answers: operators },
  'GET /admin/dlq/groups': { answers: operators },
  'GET /admin/dlq/:id': { path: '/admin/dlq/1', answers: [401, 403, 403, 403, 403, 403, 403, 404] },
  'POST /admin/dlq/:id/replay': {
    path: '/admin/dlq/1/replay',
    answers: [401, 403, 403, 403, 403, 403, 403, 404],
  },
  'DELETE /admin/dlq/:id': { path: '/admin/dlq/1', answers: [401, 403, 403, 403, 403, 403, 403, 404] },
  'POST /admin/customers/:id/erasure': { path: '/admin/customers/nobody/erasure', answers: operators },
  'POST /admin/dlq/replay': {
    path: '/admin/dlq/replay?group=query-service.views',
    answers: [401, 403, 403, 403, 403, 403, 403, 202],
  },
  'DELETE /admin/dlq': { path: '/admin/dlq?group=query-service.views', answers: operators },

  // Everyone: the provider's webhook is signed instead
  'POST /v1/quotes': { answers: 200, body: { restaurantId: 'REST-456', items } },
  'GET /v1/restaurants': { answers: 200 },
  'GET /v1/restaurants/:rid/menu': { path: '/v1/restaurants/REST-456/menu', answers: 200 },
  'POST /webhooks/payments': { answers: 401, body: { status: 'approved', orderId: 'o', id: 'a' } },
  'GET /livez': { answers: 200 },
  'GET /readyz': { answers: 200 },
  'GET /metrics': { answers: 200 },
  'GET /openapi.json': { answers: 200 },
  'GET /docs': { answers: 200 },
  'GET /docs/:file': { path: '/docs/start.js', answers: 200 },
  'GET /': { answers: 200 },
  'GET /rider': { answers: 200 },
  'GET /rider/:id': { path: '/rider/rider-1', answers: 200 },
  'GET /kitchen': { answers: 200 },
  'GET /kitchen/:id': { path: '/kitchen/REST-456', answers: 200 },
  'GET /track/:token': { path: '/track/forged', answers: 404 },
  'GET /console': { answers: 200 },
  'GET /console/letters': { answers: 200 },
  'GET /console/letters/:id': { path: '/console/letters/1', answers: 200 },
  'GET /assets/:file': { path: '/assets/none.js', answers: 404 },
};

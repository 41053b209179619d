/** Acceptance tests that follow the steps of the order-manager document. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { until } from '../support/until.ts';
import type { Json, System } from './system.ts';

const SAMPLE = {
  user_id: 'user-001',
  items: [
    { item_id: 'sushi-set', quantity: 1, price: 25.5 },
    { item_id: 'pho-bo', quantity: 2, price: 9.0 },
  ],
};

export function orderManager(system: () => System): void {
  let orderId: string;

  it('stock and prices are checked over HTTP, and the sample costs 48.50', async () => {
    const check = await system().ask('POST', '/check_inventory', {
      items: [
        { item_id: 'sushi-set', quantity: 1 },
        { item_id: 'item-zero-stock', quantity: 1 },
      ],
    });
    assert.deepEqual(check.body, {
      all_available: false,
      details: [
        { item_id: 'sushi-set', requested: 1, available: true, current_stock: 10 },
        { item_id: 'item-zero-stock', requested: 1, available: false, current_stock: 0 },
      ],
    });
    const price = await system().ask('POST', '/calculate_price', { order_id: 'sample', items: SAMPLE.items });
    assert.deepEqual(price.body, {
      order_id: 'sample',
      base_total: 43.5,
      discount_applied: 0,
      fees_applied: 5,
      final_total: 48.5,
    });
  });

  it('the sample on validated_orders becomes an order that reaches PROCESSING and then CONFIRMED', async () => {
    await system().produce('validated_orders', SAMPLE);
    const [first] = await system().records(
      'order_status_updates',
      (record) =>
        record.status === 'PROCESSING' && record.producer === 'processing-service' && record.details,
    );
    const { rows } = await until('the order to be stored', async () => {
      const found = await system().database.query(
        `SELECT order_id FROM orders WHERE customer_id = 'user-001' AND total_amount = 48.50`,
      );
      return found.rowCount ? found : undefined;
    });
    orderId = rows[0].order_id;
    assert.ok(first.order_id && Date.parse(first.timestamp));
    const updates = await system().records(
      'order_status_updates',
      (record) => record.order_id === orderId && record.status === 'CONFIRMED',
    );
    assert.equal(updates[0].details.final_total, 48.5);
  });

  it('the enriched record is published on db_write_order_status, and the order is stored in Postgres', async () => {
    const [record] = await system().records(
      'db_write_order_status',
      (candidate: Json) => candidate.order_id === orderId,
    );
    assert.deepEqual(
      [record.status, record.user_id, record.total_price, record.items],
      ['CONFIRMED', 'user-001', 48.5, SAMPLE.items],
    );
    const { rows } = await system().database.query(
      'SELECT status, total_amount FROM orders WHERE order_id = $1',
      [orderId],
    );
    assert.deepEqual(rows, [{ status: 'COMPLETED', total_amount: '48.50' }]);
  });

  it('the latest status is in Redis for an hour, with the price', async () => {
    const status = await until('order_status to be CONFIRMED', async () => {
      const text = await system().redis.get(`order_status:${orderId}`);
      const parsed = text && JSON.parse(text);
      return parsed?.status === 'CONFIRMED' ? parsed : undefined;
    });
    assert.equal(status.details.final_total, 48.5);
    const ttl = await system().redis.ttl(`order_status:${orderId}`);
    assert.ok(ttl > 3_500 && ttl <= 3_600, `the key expires in ${ttl} s`);
    const answer = await system().ask('GET', `/orders/${orderId}/status`);
    assert.equal(answer.body.status, 'CONFIRMED');
  });

  it('the stock of the ordered items is reduced', async () => {
    const { rows } = await system().database.query(
      `SELECT item_id, stock_count FROM inventory_items WHERE item_id IN ('sushi-set', 'pho-bo') ORDER BY item_id`,
    );
    assert.deepEqual(rows, [
      { item_id: 'pho-bo', stock_count: 18 },
      { item_id: 'sushi-set', stock_count: 9 },
    ]);
  });

  it('an order for an item out of stock fails, and no payment is made', async () => {
    await system().produce('validated_orders', {
      user_id: 'user-002',
      items: [{ item_id: 'item-zero-stock', quantity: 1, price: 3 }],
    });
    const [record] = await system().records('db_write_order_status', ({ user_id }) => user_id === 'user-002');
    assert.deepEqual([record.status, record.details.reason], ['FAILED', 'OUT_OF_STOCK']);
    const paid = await system().database.query('SELECT FROM payments WHERE order_id = $1', [record.order_id]);
    assert.equal(paid.rowCount, 0);
  });

  it('a malformed message becomes a dead letter, and the next message is handled', async () => {
    await system().produce('validated_orders', '{"user_id": "user-003", "items": [');
    await system().produce('validated_orders', {
      user_id: 'user-004',
      items: [{ item_id: 'fries-large', quantity: 1, price: 3 }],
    });
    await system().records('db_write_order_status', ({ user_id }) => user_id === 'user-004');
    const letters = await system().eventually(
      'the dead letter',
      '/admin/dlq',
      ({ deadLetters }) => deadLetters.length > 0,
    );
    assert.equal(letters.body.deadLetters[0].topic, 'validated_orders');
  });
}

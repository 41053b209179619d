/** The demo's books: its orders, payments and stock as a client sees them, as a history for the auditor. */
import { type History, type HistoryLine, historyOf } from '../audit/history.ts';
import { SUCCEEDED } from '../audit/verdict.ts';
import type { Placed, World } from './world.ts';

export async function booksOf(world: World): Promise<History> {
  const now = Date.now();
  const lines: HistoryLine[] = [{ type: 'state', kind: 'run', endedAt: now }];
  for (const order of world.orders.values()) {
    const call = { process: order.id, op: 'place', orderId: order.id, at: now };
    lines.push({ ...call, type: 'invoke' }, { ...call, type: 'ok' }, ...(await rowsOf(order, world)));
  }
  for (const { id: itemId, stock: initial } of world.items) {
    const { body } = await world.client.ask('GET', `/api/v1/inventory/${itemId}`);
    lines.push({ type: 'state', kind: 'stock', itemId, initial, left: body.available_qty });
  }
  return historyOf(lines);
}

/** Only an order that succeeded keeps its items. */
async function rowsOf(
  { id: orderId, status, lines, form }: Placed,
  { client }: World,
): Promise<HistoryLine[]> {
  if (status === 'PLACED') return [];
  const order: HistoryLine = { type: 'state', kind: 'order', orderId, status, hasItems: form !== 'plain' };
  const { status: found, body } = await client.ask('GET', `/v1/orders/${orderId}/payment`);
  const minor = (amount = 0) => Math.round(Number(amount) * 100);
  return [
    found === 200 ? { ...order, totalMinor: minor(body.requested) } : order,
    ...(found === 200
      ? [
          {
            type: 'state' as const,
            kind: 'payment' as const,
            orderId,
            state: body.state,
            authorizedMinor: minor(body.authorized),
            capturedMinor: minor(body.captured),
            refundedMinor: minor(body.refunded),
          },
        ]
      : []),
    ...(SUCCEEDED.has(status)
      ? [
          {
            type: 'state' as const,
            kind: 'reservation' as const,
            orderId,
            state: 'reserved',
            lines: [...lines],
          },
        ]
      : []),
  ];
}

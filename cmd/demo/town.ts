/** The demo's restaurants and riders, and the polling of its orders; each function is one round. */
import { chance, hasEnded, oneOf, type World } from './world.ts';

const REJECTED_SHARE = 0.06;

/** Accepts every open ticket, but rejects a small share of them. */
export async function answerTickets({ client, answering, surprises }: World): Promise<void> {
  for (const restaurant of answering) {
    const { body } = await client.ask('GET', `/v1/restaurants/${restaurant}/orders?limit=100`);
    for (const ticket of body?.orders ?? []) {
      if (ticket.status !== 'OPEN') continue;
      const answer = chance(REJECTED_SHARE)
        ? { action: 'REJECT', reason: 'out of rice' }
        : { action: 'ACCEPT', estimatedReadyTime: new Date(Date.now() + 2_000).toISOString() };
      const { status } = await client.ask(
        'POST',
        `/v1/restaurants/${restaurant}/orders/${ticket.orderId}`,
        answer,
      );
      // 409: the order was cancelled in between.
      if (status !== 200 && status !== 409)
        surprises.push(`${ticket.orderId}: ${answer.action} was answered with ${status}`);
    }
  }
}

/** Moves every order of the form `collected` on by one status, as the restaurant would, up to DELIVERED. */
export async function serveCounter({ client, orders, surprises }: World): Promise<void> {
  const waiting = [...orders.values()].filter((order) => order.form === 'collected' && !hasEnded(order));
  await Promise.all(
    waiting.map(async ({ id }) => {
      const { body } = await client.ask('GET', `/api/v1/orders/${id}`);
      const next =
        body?.status === 'PREPARING'
          ? 'OUT_FOR_DELIVERY'
          : body?.status === 'OUT_FOR_DELIVERY'
            ? 'DELIVERED'
            : undefined;
      if (!next) return;
      const { status } = await client.ask('PATCH', `/api/v1/orders/${id}/status`, { status: next });
      if (status !== 200 && status !== 409) surprises.push(`${id}: ${next} was answered with ${status}`);
    }),
  );
}

/** Moves every rider, and each order of a rider on by one status. */
export async function ride({ client, riders, surprises }: World): Promise<void> {
  await Promise.all(
    riders.map(async (rider) => {
      const { body } = await client.ask('GET', `/v1/riders/${rider}/orders`);
      for (const delivery of body?.orders ?? []) {
        const status = delivery.status === 'ASSIGNED' ? 'PICKED_UP' : 'DELIVERED';
        const location = { lat: 18.93 + Math.random() * 0.02, lng: 72.82 + Math.random() * 0.02 };
        const update = { status, timestamp: new Date().toISOString(), location };
        const answer = await client.ask('PATCH', `/v1/riders/${rider}/orders/${delivery.orderId}`, update);
        if (answer.status !== 204 && answer.status !== 409)
          surprises.push(`${delivery.orderId}: ${status} was answered with ${answer.status}`);
      }
      const place = { lat: 18.93 + Math.random() * 0.02, lng: 72.82 + Math.random() * 0.02 };
      await client.ask('POST', `/v1/riders/${rider}/position`, place);
    }),
  );
}

/** Reads the status of the orders that have not ended, or of `atMost` random ones. */
export async function look({ client, orders, surprises }: World, atMost = 200): Promise<void> {
  const open = [...orders.values()].filter((order) => !hasEnded(order));
  const some = open.length <= atMost ? open : Array.from({ length: atMost }, () => oneOf(open));
  await Promise.all(
    some.map(async (order) => {
      const { status, body } = await client.ask('GET', `/v1/orders/${order.id}`);
      if (status === 200) Object.assign(order, { status: body.status, reason: body.reason });
      else surprises.push(`GET /v1/orders/${order.id} was answered with ${status}`);
    }),
  );
}

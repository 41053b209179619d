/** Stores a restaurant's report that the food of an order is ready, under the locks of the order and its ticket. */
import { fact } from '../../domain/announce.ts';
import { TiffinError } from '../../domain/errors.ts';
import type { OrderId } from '../../domain/order.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import type { DecideDeps } from '../decide-orders.ts';
import type { Transactions } from '../ports.ts';
import { ticketNotFound } from './answer-ticket.ts';
import { PRODUCER } from './keep-tickets.ts';
import type { Tickets } from './ports.ts';

export interface ReadyDeps extends Pick<DecideDeps, 'clock' | 'newEventId'> {
  readonly transactions: Transactions;
  readonly tickets: Tickets;
}

export interface ReadyReport {
  readonly restaurantId: string;
  readonly orderId: OrderId;
  readonly traceparent?: string | undefined;
}

/**
 * The time of the report, epoch ms; a repeated report changes nothing. Throws TICKET_NOT_FOUND, ILLEGAL_TRANSITION (not
 * accepted yet) or TOO_LATE (the order has left the restaurant or has ended).
 */
export async function reportReady(deps: ReadyDeps, report: ReadyReport): Promise<number> {
  const { restaurantId, orderId, traceparent } = report;
  return deps.transactions.run(async (tx) => {
    const order = (await tx.lockOrders([orderId])).get(orderId);
    const ticket = (await deps.tickets.lock(tx, [orderId])).get(orderId);
    if (order?.restaurantId !== restaurantId || !ticket) throw ticketNotFound(restaurantId, orderId);
    if (ticket.readyAt !== undefined) return ticket.readyAt;
    if (ticket.state === 'OPEN')
      throw new TiffinError('ILLEGAL_TRANSITION', `order '${orderId}' has not been accepted yet`);
    if (ticket.state !== 'ACCEPTED')
      throw new TiffinError('TOO_LATE', `the ticket of order '${orderId}' is ${ticket.state}`);
    const at = deps.clock.now();
    await deps.tickets.save(tx, [{ ...ticket, readyAt: at }]);
    const payload = { restaurantId, readyAt: toRfc3339(at) };
    const origin = { eventId: deps.newEventId(), at, producer: PRODUCER, traceparent };
    await tx.appendEvents([fact('restaurant.ready', orderId, payload, origin)]);
    return at;
  });
}

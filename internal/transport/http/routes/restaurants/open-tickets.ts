/** A restaurant's open tickets as its list and its stream show them. */
import { z } from 'zod';
import { FOOD_ORDERING } from '../../../../domain/dialects.ts';
import { TiffinError } from '../../../../domain/errors.ts';
import { isDelivered, type Order } from '../../../../domain/order.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import type { Ticket, Tickets } from '../../../../service/restaurants/ports.ts';

const time = z.string().meta({ format: 'date-time' });

export const ticketSchema = z
  .object({
    orderId: z.string(),
    status: z.enum(['OPEN', 'ACCEPTED', 'REJECTED', 'CLOSED']),
    orderStatus: z.string().optional(),
    openedAt: time,
    estimatedReadyTime: time.optional(),
    readyAt: time.optional().meta({ description: 'When the restaurant reported READY' }),
    leavesBy: z.enum(['RIDER', 'CUSTOMER']).meta({ description: 'Who takes the order from the restaurant' }),
    items: z.array(z.object({ itemId: z.string(), name: z.string().optional(), quantity: z.number() })),
    specialInstructions: z.string().optional(),
  })
  .meta({ id: 'Ticket' });

export interface TicketDeps {
  readonly tickets: Pick<Tickets, 'listOpen'>;
  readonly orders: Pick<OrderStore, 'find'>;
}

interface Listed {
  readonly ticket: Ticket;
  /** Absent if it is no longer stored. */
  readonly order: Order | undefined;
}

export async function readTickets(
  { tickets, orders }: TicketDeps,
  restaurantId: string,
  query: Parameters<Tickets['listOpen']>[1],
): Promise<Listed[]> {
  const found = await tickets.listOpen(restaurantId, query);
  const known = await orders.find(found.map(({ orderId }) => orderId));
  const byId = new Map(known.map((order) => [order.id, order]));
  return found.map((ticket) => ({ ticket, order: byId.get(ticket.orderId) }));
}

export function unknownRestaurant(id: string): TiffinError {
  return new TiffinError('UNKNOWN_RESTAURANT', `there is no restaurant '${id}'`);
}

export function toTicket({ ticket, order }: Listed): z.infer<typeof ticketSchema> {
  const { orderId, state, openedAt, estimatedReadyAt, readyAt } = ticket;
  return {
    orderId,
    status: state,
    ...(order ? { orderStatus: FOOD_ORDERING[order.status] } : {}),
    openedAt: toRfc3339(openedAt),
    ...(estimatedReadyAt === undefined ? {} : { estimatedReadyTime: toRfc3339(estimatedReadyAt) }),
    ...(readyAt === undefined ? {} : { readyAt: toRfc3339(readyAt) }),
    leavesBy: order && isDelivered(order) ? 'RIDER' : 'CUSTOMER',
    items: (order?.items ?? []).map(({ itemId, name, quantity }) => ({
      itemId,
      ...(name ? { name } : {}),
      quantity,
    })),
    ...(order?.specialInstructions ? { specialInstructions: order.specialInstructions } : {}),
  };
}

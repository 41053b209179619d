/** The live stream of a restaurant's open tickets, for the screen in its kitchen. */
import { ORDER_ID } from '../../../../domain/order.ts';
import type { Catalogue } from '../../../../service/inventory/ports.ts';
import { type Route, route } from '../../route.ts';
import { readTickets, type TicketDeps, toTicket, unknownRestaurant } from '../restaurants/open-tickets.ts';
import { BOARD_ANSWERS, type BoardDeps, boardStreams } from './board.ts';

/** More than a kitchen can have in hand at once; the list has pages. */
const MOST_TICKETS = 100;

export interface KitchenDeps extends BoardDeps, TicketDeps {
  readonly catalogue: Pick<Catalogue, 'look'>;
}

export function kitchenRoutes(deps: KitchenDeps): readonly Route[] {
  const stream = boardStreams(deps, async (id) => {
    const { restaurants } = await deps.catalogue.look({ restaurants: [id] });
    const restaurant = restaurants.get(id);
    const found = await readTickets(deps, id, { limit: MOST_TICKETS + 1 });
    if (!restaurant && found.length === 0) throw unknownRestaurant(id);
    return {
      restaurantId: id,
      name: restaurant?.name ?? id,
      preparationS: restaurant?.preparationS ?? 0,
      orders: found.slice(0, MOST_TICKETS).map(toTicket),
      hasMore: found.length > MOST_TICKETS,
    };
  });
  return [
    route({
      method: 'GET',
      path: '/v1/restaurants/:rid/stream',
      access: { roles: ['restaurant', 'operator'], self: { restaurant: 'rid' } },
      tag: 'Restaurants',
      summary:
        'Streams a restaurant’s open and accepted tickets: an event `view` with all of them (at most 100) at the beginning and after each change. There is nothing to resume: a client that connects again gets the current state',
      answers: { ...BOARD_ANSWERS, 404: { description: 'There is no such restaurant' } },
      async handle(ctx, { params: { rid }, principal }) {
        if (!ORDER_ID.test(rid)) throw unknownRestaurant(rid);
        await stream(ctx, principal, rid);
      },
    }),
  ];
}

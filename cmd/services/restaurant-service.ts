/** restaurant-service opens and closes the restaurants' tickets, and accepts their answers. */
import { externalAnswersConsumer } from '../../internal/service/restaurants/answer-ticket.ts';
import { followConsumer, openConsumer } from '../../internal/service/restaurants/keep-tickets.ts';
import { restaurantRoutes } from '../../internal/transport/http/routes/restaurants/restaurant-routes.ts';
import type { Service, Wiring } from '../wire.ts';

export function restaurantService(wiring: Wiring): Service {
  const deps = { ...wiring, newEventId: wiring.newId };
  return {
    name: 'restaurant-service',
    needs: ['postgres', 'stream'],
    routes: restaurantRoutes(deps),
    consumers: [openConsumer(deps), followConsumer(deps), externalAnswersConsumer(deps)],
  };
}

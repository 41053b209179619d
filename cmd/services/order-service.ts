/** order-service places, shows, lists, cancels and reschedules orders in every dialect. */
import { orderPlacer } from '../../internal/service/orders/place-order.ts';
import { validatedOrdersConsumer } from '../../internal/service/orders/place-validated.ts';
import { foodOrderingRoutes } from '../../internal/transport/http/routes/orders/food-ordering-routes.ts';
import { orderRoutes } from '../../internal/transport/http/routes/orders/order-routes.ts';
import { outboxRoutes } from '../../internal/transport/http/routes/orders/outbox-routes.ts';
import { quoteRoutes } from '../../internal/transport/http/routes/orders/quote-routes.ts';
import { trackingLinkRoutes } from '../../internal/transport/http/routes/views/tracking-routes.ts';
import { DELIVERY_RULES } from '../delivery-rules.ts';
import type { Service, Wiring } from '../wire.ts';

export function orderService(wiring: Wiring): Service {
  const { clock, newId, config } = wiring;
  const deps = {
    ...wiring,
    newEventId: newId,
    newOrderId: newId,
    now: () => clock.now(),
    maxReschedules: config.MAX_RESCHEDULES,
  };
  const place = orderPlacer(deps, { maxBatch: 500, concurrency: 2, maxWaiting: config.PLACE_MAX_WAITING });
  return {
    name: 'order-service',
    needs: ['postgres', 'stream'],
    routes: [
      ...orderRoutes({ ...deps, place }),
      ...trackingLinkRoutes(deps),
      ...foodOrderingRoutes({ ...deps, place }),
      ...quoteRoutes({ ...deps, rules: DELIVERY_RULES }),
      ...outboxRoutes({ ...deps, place }),
    ],
    consumers: [validatedOrdersConsumer(deps)],
  };
}

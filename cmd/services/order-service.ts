/** order-service takes orders: it places, shows, lists, cancels and reschedules them. */
import { orderPlacer } from '../../internal/service/place-order.ts';
import { orderRoutes } from '../../internal/transport/http/order-routes.ts';
import type { Service, Wiring } from '../wire.ts';

export function orderService({ orders, transactions, clock, meter, newId, config }: Wiring): Service {
  const place = orderPlacer(
    { orders, clock, meter, newEventId: newId },
    { maxBatch: 500, concurrency: 2, maxWaiting: config.PLACE_MAX_WAITING },
  );
  return {
    name: 'order-service',
    needs: ['postgres'],
    routes: orderRoutes({ place, orders, transactions, clock, newEventId: newId, newOrderId: newId }),
  };
}

/** inventory-service reserves and releases stock for orders, and manages the catalogue. */
import { releaseConsumer, reserveConsumer } from '../../internal/service/inventory/reserve-inventory.ts';
import { catalogueRoutes } from '../../internal/transport/http/routes/inventory/catalogue-routes.ts';
import { checkRoutes } from '../../internal/transport/http/routes/inventory/check-routes.ts';
import { menuRoutes } from '../../internal/transport/http/routes/inventory/menu-routes.ts';
import type { Service, Wiring } from '../wire.ts';

export function inventoryService(wiring: Wiring): Service {
  const deps = { ...wiring, newEventId: wiring.newId };
  return {
    name: 'inventory-service',
    needs: ['postgres', 'stream'],
    routes: [...catalogueRoutes(wiring), ...menuRoutes(wiring), ...checkRoutes(wiring)],
    consumers: [reserveConsumer(deps), releaseConsumer(deps)],
  };
}

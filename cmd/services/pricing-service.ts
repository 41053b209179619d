/** pricing-service says what items cost, by the rules that orders are priced by. */
import { pricingRoutes } from '../../internal/transport/http/routes/inventory/check-routes.ts';
import type { Service, Wiring } from '../wire.ts';

export function pricingService({ pricing }: Wiring): Service {
  return { name: 'pricing-service', needs: [], routes: pricingRoutes(pricing) };
}

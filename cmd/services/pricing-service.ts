/** pricing-service calculates the price of items by the pricing rules of orders. */
import { pricingRoutes } from '../../internal/transport/http/routes/inventory/check-routes.ts';
import type { Service, Wiring } from '../wire.ts';

export function pricingService({ pricing }: Wiring): Service {
  return { name: 'pricing-service', needs: [], routes: pricingRoutes(pricing) };
}

/** delivery-service assigns riders to orders, tracks deliveries, and estimates times of arrival. */
import { assignmentsConsumer } from '../../internal/service/delivery/accept-assignments.ts';
import { matchConsumer, requestConsumer } from '../../internal/service/delivery/assign-rider.ts';
import { readyConsumer } from '../../internal/service/delivery/note-ready.ts';
import { etaConsumer } from '../../internal/service/delivery/refresh-eta.ts';
import { releaseConsumer } from '../../internal/service/delivery/track-delivery.ts';
import { riderRoutes } from '../../internal/transport/http/routes/delivery/rider-routes.ts';
import { DELIVERY_RULES } from '../delivery-rules.ts';
import type { Service, Wiring } from '../wire.ts';

export function deliveryService(wiring: Wiring): Service {
  const deps = {
    ...wiring,
    rules: DELIVERY_RULES,
    etaRefreshMs: wiring.config.ETA_REFRESH_MS,
    newEventId: wiring.newId,
  };
  return {
    name: 'delivery-service',
    needs: ['postgres', 'stream'],
    routes: riderRoutes(deps),
    consumers: [
      requestConsumer(deps),
      matchConsumer(deps),
      assignmentsConsumer(deps),
      etaConsumer(deps),
      readyConsumer(deps),
      releaseConsumer(deps),
    ],
  };
}

/** delivery-service assigns riders to orders, tracks deliveries, and estimates times of arrival. */
import type { EtaRules } from '../../internal/domain/eta.ts';
import type { MatchingRules } from '../../internal/domain/matching.ts';
import { assignmentsConsumer } from '../../internal/service/delivery/accept-assignments.ts';
import { matchConsumer, requestConsumer } from '../../internal/service/delivery/assign-rider.ts';
import { etaConsumer } from '../../internal/service/delivery/refresh-eta.ts';
import { releaseConsumer } from '../../internal/service/delivery/track-delivery.ts';
import { riderRoutes } from '../../internal/transport/http/routes/delivery/rider-routes.ts';
import type { Service, Wiring } from '../wire.ts';

/** Rules for riders on two wheels in a city: 20 km/h including stops. */
const RULES: EtaRules & MatchingRules = {
  defaultDistanceM: 3_000,
  detourFactor: 1.3,
  speedMps: 20 / 3.6,
  handoverMs: 120_000,
  loadPenaltyM: 1_500,
};

export function deliveryService(wiring: Wiring): Service {
  const deps = {
    ...wiring,
    rules: RULES,
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
      releaseConsumer(deps),
    ],
  };
}

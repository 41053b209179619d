/** The rules of delivery: how fast riders are, and how they are chosen. */
import type { EtaRules } from '../internal/domain/eta.ts';
import type { MatchingRules } from '../internal/domain/matching.ts';

/** For riders on two wheels in a city: 20 km/h including stops. */
export const DELIVERY_RULES: EtaRules & MatchingRules = {
  defaultDistanceM: 3_000,
  detourFactor: 1.3,
  speedMps: 20 / 3.6,
  handoverMs: 120_000,
  loadPenaltyM: 1_500,
};

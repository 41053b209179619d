/** query-service answers operators: which events could not be handled, and what is to become of them. */
import { deadLetterRoutes } from '../../internal/transport/http/dead-letter-routes.ts';
import type { Service, Wiring } from '../wire.ts';

export function queryService(wiring: Wiring): Service {
  return { name: 'query-service', needs: ['postgres'], routes: deadLetterRoutes(wiring) };
}

/** processing-service processes orders that are due: starts, confirms and completes them, and expires their deadlines. */
import { confirmConsumer } from '../../internal/service/orders/confirm-orders.ts';
import { deadlineConsumer } from '../../internal/service/orders/expire-deadlines.ts';
import {
  completeConsumer,
  type OrderLogic,
  startConsumer,
} from '../../internal/service/orders/process-order.ts';
import type { Service, Wiring } from '../wire.ts';

export function processingService(wiring: Wiring, logic?: OrderLogic): Service {
  const deps = { ...wiring, newEventId: wiring.newId, checksMs: wiring.config.CHECKS_MS };
  return {
    name: 'processing-service',
    needs: ['postgres', 'stream'],
    consumers: [
      startConsumer(deps),
      completeConsumer(deps, logic),
      confirmConsumer(deps),
      deadlineConsumer(deps),
    ],
  };
}

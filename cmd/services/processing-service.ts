/** processing-service processes orders that are due: starts, confirms and completes them, and expires their deadlines. */
import { confirmConsumer } from '../../internal/service/orders/confirm-orders.ts';
import { deadlineConsumer } from '../../internal/service/orders/expire-deadlines.ts';
import { completeConsumer, startConsumer } from '../../internal/service/orders/process-order.ts';
import type { OrderLogic } from '../../internal/service/orders/run-logic.ts';
import type { Service, Wiring } from '../wire.ts';

export function processingService(wiring: Wiring, logic?: OrderLogic): Service {
  const deps = { ...wiring, newEventId: wiring.newId, checksMs: wiring.config.CHECKS_MS };
  return {
    name: 'processing-service',
    needs: ['postgres', 'stream'],
    consumers: [
      startConsumer(deps),
      completeConsumer(deps, logic && { run: logic, timeoutMs: wiring.config.ORDER_LOGIC_TIMEOUT_MS }),
      confirmConsumer(deps),
      deadlineConsumer(deps),
    ],
  };
}

/** processing-service carries orders on once they are ready, to their end. */
import { completeConsumer, type OrderLogic, startConsumer } from '../../internal/service/process-order.ts';
import type { Service, Wiring } from '../wire.ts';

export function processingService(wiring: Wiring, logic?: OrderLogic): Service {
  const deps = { ...wiring, newEventId: wiring.newId };
  return {
    name: 'processing-service',
    needs: ['postgres', 'stream'],
    consumers: [startConsumer(deps), completeConsumer(deps, logic)],
  };
}

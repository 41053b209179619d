/** query-service shows orders as they are and as they were, and what could not be handled. */
import { historyConsumer, viewsConsumer } from '../../internal/service/views/project-views.ts';
import { foodOrderView } from '../../internal/transport/http/routes/orders/food-ordering-routes.ts';
import { deadLetterRoutes } from '../../internal/transport/http/routes/stream/dead-letter-routes.ts';
import { liveStreams } from '../../internal/transport/http/routes/views/live-stream.ts';
import { pageRoutes } from '../../internal/transport/http/routes/views/page-routes.ts';
import { uiRoutes } from '../../internal/transport/http/routes/views/ui-routes.ts';
import type { Service, Wiring } from '../wire.ts';

const MOST_STREAMS = 1_000;

export function queryService(wiring: Wiring): Service {
  const { viewListener } = wiring;
  const streams = liveStreams(MOST_STREAMS);
  return {
    name: 'query-service',
    needs: ['postgres', 'redis', 'stream'],
    routes: [
      ...pageRoutes(),
      ...deadLetterRoutes(wiring),
      foodOrderView(wiring),
      ...uiRoutes({ ...wiring, streams, onView: (id, told) => viewListener.listen(id, told) }),
    ],
    consumers: [viewsConsumer(wiring), historyConsumer(wiring)],
    beforeStop: () => streams.endAll(),
  };
}

/** query-service serves order views, their history and live streams, the dead letters, and the page. */
import { startLoop } from '../../internal/service/loop.ts';
import { viewComparer } from '../../internal/service/views/compare-views.ts';
import { historyConsumer, viewsConsumer } from '../../internal/service/views/project-views.ts';
import { foodOrderView } from '../../internal/transport/http/routes/orders/food-ordering-routes.ts';
import { deadLetterRoutes } from '../../internal/transport/http/routes/stream/dead-letter-routes.ts';
import { kitchenRoutes } from '../../internal/transport/http/routes/views/kitchen-routes.ts';
import { liveStreams } from '../../internal/transport/http/routes/views/live-stream.ts';
import { pageRoutes } from '../../internal/transport/http/routes/views/page-routes.ts';
import { riderBoardRoutes } from '../../internal/transport/http/routes/views/rider-board-routes.ts';
import { streamRoute } from '../../internal/transport/http/routes/views/stream-route.ts';
import {
  type TrackingDeps,
  trackingRoutes,
} from '../../internal/transport/http/routes/views/tracking-routes.ts';
import { uiRoutes } from '../../internal/transport/http/routes/views/ui-routes.ts';
import { loadPages } from '../pages.ts';
import type { Service, Wiring } from '../wire.ts';

/** A customer has one stream for each order on a screen, a restaurant or a desk one for each order in progress. */
const MOST_STREAMS = { all: 1_000, each: 50 };

export function queryService(wiring: Wiring): Service {
  const { viewListener, config, log } = wiring;
  const streams = liveStreams(MOST_STREAMS);
  const live: TrackingDeps = {
    ...wiring,
    streams,
    onView: (id, listener) => viewListener.listen(id, listener),
  };
  return {
    name: 'query-service',
    needs: ['postgres', 'redis', 'stream', ...(config.HISTORY_URL ? (['history'] as const) : [])],
    routes: [
      ...pageRoutes(loadPages(log), config.ENVIRONMENT),
      ...deadLetterRoutes(wiring),
      foodOrderView(wiring),
      ...uiRoutes(wiring),
      streamRoute(live),
      ...trackingRoutes(live),
      ...kitchenRoutes({ ...wiring, streams }),
      ...riderBoardRoutes({ ...wiring, streams }),
    ],
    consumers: [viewsConsumer(wiring), historyConsumer(wiring)],
    loops: () => [startLoop('compare views', viewComparer(wiring), log)],
    beforeStop: () => streams.endAll(),
  };
}

/** One of the HTTP servers that bench/place.ts compares, in a process of its own: `bare`, `grouped` or `single`. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa from 'koa';
import { readConfig } from '../cmd/config.ts';
import { run } from '../cmd/run.ts';
import { orderService } from '../cmd/services/order-service.ts';
import { type Service, type Wiring, wire } from '../cmd/wire.ts';
import { orderPlacer } from '../internal/service/orders/place-order.ts';
import { orderRoutes } from '../internal/transport/http/routes/orders/order-routes.ts';
import { createLogger } from '../internal/transport/telemetry/logger.ts';

/** Koa alone: parses the same JSON and answers 201 with as many bytes. */
async function bare(): Promise<string> {
  const app = new Koa();
  app.use(async (ctx) => {
    const chunks: Buffer[] = [];
    for await (const chunk of ctx.req) chunks.push(chunk);
    const order = JSON.parse(Buffer.concat(chunks).toString());
    ctx.status = 201;
    ctx.body = {
      id: '01900000-0000-7000-8000-000000000000',
      orderId: '01900000-0000-7000-8000-000000000000',
      ...order,
      status: 'CREATED',
      created_at: '2030-01-01T00:00:00.000Z',
    };
  });
  const server = createServer(app.callback());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The same routes with one transaction for each request, as many at a time as there are database connections. */
function onePerRequest(wiring: Wiring): Service {
  const { newId, config } = wiring;
  const deps = { ...wiring, newEventId: newId, newOrderId: newId };
  const place = orderPlacer(deps, {
    maxBatch: 1,
    concurrency: config.DATABASE_POOL,
    maxWaiting: config.PLACE_MAX_WAITING,
  });
  return {
    name: 'order-service',
    needs: ['postgres'],
    routes: orderRoutes({ ...deps, place, maxReschedules: config.MAX_RESCHEDULES }),
  };
}

async function tiffin(service: (wiring: Wiring) => Service): Promise<string> {
  const config = readConfig({ ...process.env, PORT: '0' });
  const { DATABASE_URL = '', REDIS_URL = '' } = config;
  const wiring = await wire({ ...config, DATABASE_URL, REDIS_URL }, createLogger('warn', 'json'));
  const running = await run([service(wiring)], wiring);
  return running.url;
}

const kind = process.argv[2];
const url = kind === 'bare' ? await bare() : await tiffin(kind === 'single' ? onePerRequest : orderService);
process.send?.({ url });
// Answers each message of the parent process with the CPU time of all threads so far, microseconds.
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpu: user + system });
});
process.once('disconnect', () => process.exit());

/** Runs services in this process: starts them in order, and stops them so that nothing under way is cut off. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startLoop } from '../internal/service/loop.ts';
import { subscriptionOf } from '../internal/service/stream/consume.ts';
import { replayLetters } from '../internal/service/stream/replay-letters.ts';
import { httpApp } from '../internal/transport/http/app.ts';
import { routerOf } from '../internal/transport/http/route.ts';
import { docRoutes } from '../internal/transport/http/routes/operations/doc-routes.ts';
import { type Check, opsRoutes } from '../internal/transport/http/routes/operations/ops-routes.ts';
import { ConfigError } from './faults.ts';
import { portHolder } from './port-holder.ts';
import type { Service, Wiring } from './wire.ts';

const REPLAY_EVERY_MS = 2_000;
/** Longer than the minute for which load balancers keep theirs: one that we close first may have a request on its way. */
const KEEP_ALIVE_MS = 75_000;

export interface Running {
  /** Where it listens, such as http://127.0.0.1:8080. */
  readonly url: string;
  stop(): Promise<void>;
}

export async function run(services: readonly Service[], wiring: Wiring): Promise<Running> {
  const { authenticate, bus, config, log, telemetry } = wiring;
  let stopping = false;
  for (const gauge of services.flatMap(({ gauges = [] }) => gauges)) telemetry.gauge(gauge);
  const ops = opsRoutes({
    checks: checksOf(services, wiring),
    isStopping: () => stopping,
    metrics: telemetry.registry,
  });
  const tables = [...services.map(({ routes = [] }) => routes), ops];
  const app = httpApp(
    [...tables, docRoutes(tables.flat())].map((routes) => routerOf(routes, authenticate)),
    log,
  );
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, app.callback());
  await listen(server, config.HOST, config.PORT);

  const consumers = services.flatMap(({ consumers = [] }) => consumers);
  const unsubscribe = await Promise.all(
    consumers.map((consumer) => bus.subscribe(subscriptionOf(wiring, consumer))),
  );
  const loops = services.flatMap(({ loops }) => loops?.() ?? []);
  for (const consumer of consumers) {
    const replay = async () => ((await replayLetters(wiring, consumer)) > 0 ? 0 : REPLAY_EVERY_MS);
    loops.push(startLoop(`replay ${consumer.name}`, replay, log));
  }

  const { address, port } = server.address() as AddressInfo;
  return {
    url: `http://${address.includes(':') ? `[${address}]` : address}:${port}`,
    async stop() {
      stopping = true;
      for (const { beforeStop } of services) beforeStop?.();
      // Requests first, so that what they still announce can be consumed; whatever cannot is consumed after the next start.
      await closeServer(server);
      await Promise.all(unsubscribe.map((stop) => stop()));
      await Promise.all(loops.map((loop) => loop.stop()));
      await Promise.all(services.map(({ drain }) => drain?.()));
      await wiring.close();
    },
  };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(
      error.code === 'EADDRINUSE'
        ? `Port ${port} of ${host} is taken by ${portHolder(port) ?? 'another process'}; stop that one, or set PORT to another.`
        : `HOST ${host} and PORT ${port} cannot be listened on (${error.message}); set them to others.`,
    );
  });
}

/** Takes no more connections, and ends each that is open once its request has been answered. */
async function closeServer(server: Server): Promise<void> {
  server.close();
  const ending = setInterval(() => server.closeIdleConnections(), 20);
  await once(server, 'close');
  clearInterval(ending);
}

/** A process that takes orders stays ready while it can store them; another is ready when all that its services need is there. */
function checksOf(services: readonly Service[], { faults }: Wiring): Check[] {
  const needs = new Set(services.flatMap((service) => service.needs));
  const takesOrders = services.some(({ name }) => name === 'order-service');
  return [...needs].map((name) => ({
    name,
    critical: !takesOrders || name === 'postgres',
    fault: faults[name],
  }));
}

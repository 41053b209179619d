/** Runs services in this process, and stops them gracefully: requests and batches in progress are finished first. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startLoop } from '../internal/service/loop.ts';
import { subscriptionOf } from '../internal/service/stream/consume.ts';
import { replayLetters } from '../internal/service/stream/replay-letters.ts';
import { httpApp } from '../internal/transport/http/app.ts';
import { type Route, routerOf } from '../internal/transport/http/route.ts';
import { docRoutes } from '../internal/transport/http/routes/operations/doc-routes.ts';
import { type Check, faultOf, opsRoutes } from '../internal/transport/http/routes/operations/ops-routes.ts';
import { httpServer } from '../internal/transport/http/server.ts';
import type { GaugeSource } from '../internal/transport/telemetry/metrics.ts';
import { ConfigError } from './faults.ts';
import { portHolder } from './port-holder.ts';
import type { Service, Wiring } from './wire.ts';

const REPLAY_EVERY_MS = 2_000;

export interface Running {
  /** The server's URL, such as http://127.0.0.1:8080. */
  readonly url: string;
  /** Everything that the server answers. */
  readonly routes: readonly Route[];
  stop(): Promise<void>;
}

export async function run(services: readonly Service[], wiring: Wiring): Promise<Running> {
  const { authenticate, bus, config, log, telemetry } = wiring;
  let stopping = false;
  const gauges = services.flatMap(({ gauges = [] }) => gauges);
  const checks = checksOf(services, wiring);
  for (const gauge of [...wiring.consumerGauges, ...gauges, checkGauge(checks)]) telemetry.gauge(gauge);
  const ops = opsRoutes({
    checks,
    isStopping: () => stopping,
    metrics: telemetry.registry,
  });
  const tables = [...services.map(({ routes = [] }) => routes), ops];
  tables.push(docRoutes(tables.flat(), Boolean(config.AUTH_JWT_SECRET ?? config.AUTH_JWKS_URL)));
  const app = httpApp(
    // Probes and figures must be answered whatever else is asked.
    tables.map((routes) => routerOf(routes, authenticate, routes === ops ? undefined : wiring.limitRate)),
    log,
  );
  const { server, close } = httpServer(app.callback());
  await listen(server, config.HOST, config.PORT);

  const consumers = services.flatMap(({ consumers = [] }) => consumers);
  for (const { name } of consumers) wiring.meter.count('dead_letters', 0, { consumer: name });
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
    routes: tables.flat(),
    async stop() {
      stopping = true;
      for (const { beforeStop } of services) beforeStop?.();
      // Finish requests first, so that their events can still be consumed; the others are consumed after the next start.
      await close();
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

/** With order-service only Postgres is critical, because it suffices to accept orders; otherwise every need is critical. */
function checksOf(services: readonly Service[], { faults }: Wiring): Check[] {
  const needs = new Set(services.flatMap((service) => service.needs));
  const takesOrders = services.some(({ name }) => name === 'order-service');
  const ofServers = [...needs].map((name) => ({ name, fault: faults[name] }));
  const ofLoops = services.flatMap(({ name, fault }) =>
    fault ? [{ name, fault: async () => fault() }] : [],
  );
  return [...ofServers, ...ofLoops].map((check) => ({
    ...check,
    critical: !takesOrders || check.name === 'postgres',
  }));
}

function checkGauge(checks: readonly Check[]): GaugeSource {
  return {
    name: 'check_failing',
    help: '1 while a check of /readyz finds a fault, whether or not it makes the process not ready, else 0',
    label: 'check',
    read: async () =>
      new Map(
        await Promise.all(
          checks.map(async (check) => [check.name, (await faultOf(check)) === undefined ? 0 : 1] as const),
        ),
      ),
  };
}

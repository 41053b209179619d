/** The program: `tiffin [service …]` runs the named services in one process, or all of them. */
import { fork } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import closeWithGrace from 'close-with-grace';
import type { Logger } from 'pino';
import type { OrderLogic } from '../internal/service/orders/run-logic.ts';
import { createLogger } from '../internal/transport/telemetry/logger.ts';
import { type Config, loadEnvFile, readConfig } from './config.ts';
import { choosePlace } from './embedded/place.ts';
import { type EmbeddedServers, startEmbedded } from './embedded/servers.ts';
import { ConfigError, describeFault } from './faults.ts';
import { run } from './run.ts';
import { deliveryService } from './services/delivery-service.ts';
import { eventRelay } from './services/event-relay.ts';
import { inventoryService } from './services/inventory-service.ts';
import { maintenanceService } from './services/maintenance-service.ts';
import { notificationService } from './services/notification-service.ts';
import { orderService } from './services/order-service.ts';
import { paymentService } from './services/payment-service.ts';
import { pricingService } from './services/pricing-service.ts';
import { processingService } from './services/processing-service.ts';
import { queryService } from './services/query-service.ts';
import { restaurantService } from './services/restaurant-service.ts';
import { schedulerWorker } from './services/scheduler-worker.ts';
import { type Service, type Wiring, wire } from './wire.ts';

const SERVICES: Readonly<Record<string, (wiring: Wiring, logic?: OrderLogic) => Service>> = {
  'order-service': orderService,
  'event-relay': eventRelay,
  'scheduler-worker': schedulerWorker,
  'processing-service': processingService,
  'inventory-service': inventoryService,
  'pricing-service': pricingService,
  'payment-service': paymentService,
  'restaurant-service': restaurantService,
  'delivery-service': deliveryService,
  'notification-service': notificationService,
  'query-service': queryService,
  'maintenance-service': maintenanceService,
};
const NAMES = Object.keys(SERVICES);
const STOP_LIMIT_MS = 30_000;

const USAGE = `Usage: npm start -- [--demo] [service …]

Runs the named services in this process, or all of them:
  ${NAMES.join('\n  ')}

--demo simulates customers, restaurants and riders on it for half a minute.

Settings are environment variables; .env.example lists them.
`;

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help') || args.includes('-h')) return void process.stdout.write(USAGE);
  const services = args.filter((arg) => arg !== '--demo');
  const unknown = services.filter((arg) => !Object.hasOwn(SERVICES, arg));
  if (unknown.length > 0)
    throw new ConfigError(`There is no service '${unknown.join("', '")}'; there are ${NAMES.join(', ')}.`);
  const names = services.length > 0 ? services : NAMES;

  const started = performance.now();
  loadEnvFile();
  const config = readConfig(process.env);
  const log = createLogger(config.LOG_LEVEL, config.LOG_FORMAT);
  const logic = await loadOrderLogic(config);
  let embedded: EmbeddedServers | undefined;
  let stop: (() => Promise<void>) | undefined;
  const grace = closeWithGrace({ delay: STOP_LIMIT_MS, logger: false }, async ({ signal, err, manual }) => {
    if (err) log.fatal({ err }, 'Tiffin stops because of a fault');
    else log.info({ signal: signal ?? (manual ? 'stop' : undefined) }, 'Tiffin is stopping');
    await stop?.();
    await embedded?.stop();
    log.info({}, 'Tiffin has stopped');
  });

  try {
    if (!config.DATABASE_URL || !config.REDIS_URL) embedded = await embed(config, log);
    const DATABASE_URL = config.DATABASE_URL ?? embedded?.databaseUrl ?? '';
    const REDIS_URL = config.REDIS_URL ?? embedded?.redisUrl ?? '';
    const client = names.length === 1 ? `tiffin-${names[0]}` : 'tiffin';
    const wiring = await wire({ ...config, DATABASE_URL, REDIS_URL }, log, client);
    stop = wiring.close;
    const running = await run(
      names.flatMap((name) => SERVICES[name]?.(wiring, logic) ?? []),
      wiring,
    );
    stop = running.stop;
    log.info(
      {
        services: names.length,
        stream: config.KAFKA_BROKERS ? 'kafka' : 'postgres',
        ms: Math.round(performance.now() - started),
      },
      `Tiffin is ready at ${running.url}`,
    );
    if (process.stdout.isTTY) process.stdout.write(nextSteps(running.url));
    if (args.includes('--demo')) startDemo(running.url);
  } catch (error) {
    grace.uninstall();
    await stop?.().catch(() => {});
    await embedded?.stop();
    throw error;
  }
}

/** Runs the demo as a client in a process of its own; Tiffin continues after the demo has ended. */
function startDemo(url: string): void {
  const demo = fileURLToPath(new URL('./demo/main.ts', import.meta.url));
  fork(demo, ['--url', url], { execArgv: ['--import', import.meta.resolve('tsx')] });
}

/** The first steps to try, shown when Tiffin starts in a terminal. */
function nextSteps(url: string): string {
  return `
  Place and follow orders:  ${url}/
  The API:                  ${url}/docs
  An order from a terminal:

  curl -X POST ${url}/orders \\
    -H "Content-Type: application/json" \\
    -d '{"id": "order-1", "customer_name": "Asha", "total_price": 500}'

`;
}

/** Starts an embedded server for each URL that is not set. If one of them ends by itself, so does this program. */
async function embed(config: Config, log: Logger): Promise<EmbeddedServers> {
  const { dataDir, reason } = choosePlace(config.DATA_DIR);
  log.info({ reason }, `the embedded servers keep their data in ${dataDir}`);
  const servers = await startEmbedded({
    dataDir,
    postgres: config.DATABASE_URL === undefined,
    redis: config.REDIS_URL === undefined,
    redisKind: config.EMBEDDED_REDIS,
  });
  // Without the URL of Postgres, which has a password.
  const addressOf = (url: string | undefined) => url && new URL(url).host;
  log.info(
    { postgres: addressOf(servers.databaseUrl), redis: addressOf(servers.redisUrl) },
    'the embedded servers are up',
  );
  void servers.failed.then(async (fault) => {
    log.fatal({ fault }, 'Tiffin stops; no acknowledged order is lost, and it can be started again');
    await servers.stop();
    process.exit(1);
  });
  return servers;
}

/** ORDER_LOGIC names a module whose default export is run for each order; it throws to fail the order. */
async function loadOrderLogic({ ORDER_LOGIC }: Config) {
  if (!ORDER_LOGIC) return undefined;
  const module = await import(pathToFileURL(ORDER_LOGIC).href).catch((error: Error) => {
    const reason = error.message.replace(/\s*\n\s*/g, ' '); // a syntax error has several lines
    throw new ConfigError(`ORDER_LOGIC names '${ORDER_LOGIC}', which cannot be loaded: ${reason}.`);
  });
  if (typeof module.default !== 'function')
    throw new ConfigError(`ORDER_LOGIC names '${ORDER_LOGIC}', whose default export is not a function.`);
  return module.default;
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`tiffin: ${describeFault(error)}\n`);
  process.exit(1);
});

/** The program: `tiffin [service …]` runs the named services in one process, or all of them. */
import { fork } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import closeWithGrace from 'close-with-grace';
import type { Logger } from 'pino';
import { TiffinError } from '../internal/domain/errors.ts';
import { createLogger } from '../internal/transport/telemetry/logger.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { DataDirInUse, type EmbeddedServers, startEmbedded } from './embedded/servers.ts';
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
import { wire } from './wire.ts';

const SERVICES = [
  'order-service',
  'event-relay',
  'scheduler-worker',
  'processing-service',
  'inventory-service',
  'pricing-service',
  'payment-service',
  'restaurant-service',
  'delivery-service',
  'notification-service',
  'query-service',
  'maintenance-service',
] as const;
const STOP_LIMIT_MS = 30_000;

const USAGE = `Usage: npm start -- [--demo] [service …]

Runs the named services in this process, or all of them:
  ${SERVICES.join('\n  ')}

--demo has a town of customers, restaurants and riders live on it for half a minute.

Settings are environment variables; .env.example lists them.
`;

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help') || args.includes('-h')) return void process.stdout.write(USAGE);
  const services = args.filter((arg) => arg !== '--demo');
  const unknown = services.filter((arg) => !(SERVICES as readonly string[]).includes(arg));
  if (unknown.length > 0)
    throw new ConfigError(`There is no service '${unknown.join("', '")}'; there are ${SERVICES.join(', ')}.`);
  const names = services.length > 0 ? services : SERVICES;

  const started = performance.now();
  loadEnvFile();
  const config = readConfig(process.env);
  const log = createLogger(config.LOG_LEVEL, config.LOG_FORMAT);
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
    const wiring = await wire({ ...config, DATABASE_URL, REDIS_URL }, log);
    const logic = await loadOrderLogic(config);
    const makers = {
      'order-service': () => orderService(wiring),
      'event-relay': () => eventRelay(wiring),
      'scheduler-worker': () => schedulerWorker(wiring),
      'processing-service': () => processingService(wiring, logic),
      'inventory-service': () => inventoryService(wiring),
      'pricing-service': () => pricingService(wiring),
      'payment-service': () => paymentService(wiring),
      'restaurant-service': () => restaurantService(wiring),
      'delivery-service': () => deliveryService(wiring),
      'notification-service': () => notificationService(wiring),
      'query-service': () => queryService(wiring),
      'maintenance-service': () => maintenanceService(wiring),
    };
    const running = await run(
      names.map((name) => makers[name as keyof typeof makers]()),
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
    if (args.includes('--demo')) startDemo(running.url);
  } catch (error) {
    grace.uninstall();
    await embedded?.stop();
    throw error;
  }
}

/** In a process of its own, as any client would be; it prints its books at the end, and Tiffin goes on. */
function startDemo(url: string): void {
  const demo = fileURLToPath(new URL('./demo/main.ts', import.meta.url));
  fork(demo, ['--url', url], { execArgv: process.execArgv });
}

/** What was not named is started here: Postgres, Redis or both. */
function embed(config: Config, log: Logger): Promise<EmbeddedServers> {
  return startEmbedded({
    dataDir: config.DATA_DIR,
    postgres: config.DATABASE_URL === undefined,
    redis: config.REDIS_URL === undefined,
    redisKind: config.EMBEDDED_REDIS,
    onEvent: ({ level, msg, ...fields }) => log[level](fields, msg),
  });
}

function loadEnvFile(): void {
  try {
    process.loadEnvFile();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** ORDER_LOGIC names a module whose default export is run for each order; it throws to fail the order. */
async function loadOrderLogic({ ORDER_LOGIC }: Config) {
  if (!ORDER_LOGIC) return undefined;
  const module = await import(pathToFileURL(ORDER_LOGIC).href).catch((error: Error) => {
    throw new ConfigError(`ORDER_LOGIC names '${ORDER_LOGIC}', which cannot be loaded: ${error.message}.`);
  });
  if (typeof module.default !== 'function')
    throw new ConfigError(`ORDER_LOGIC names '${ORDER_LOGIC}', whose default export is not a function.`);
  return module.default;
}

main(process.argv.slice(2)).catch((error: Error & { code?: string }) => {
  const isOurs =
    error instanceof ConfigError ||
    error instanceof DataDirInUse ||
    error instanceof TiffinError ||
    error.code === 'EADDRINUSE';
  process.stderr.write(`tiffin: ${isOurs ? error.message : error.stack}\n`);
  process.exit(1);
});

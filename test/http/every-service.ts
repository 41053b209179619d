/** All services in one process, wired as in the program with tokens unless AUTH=off, but without their consumers and loops. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { readConfig } from '../../cmd/config.ts';
import { run } from '../../cmd/run.ts';
import { type Service, wire } from '../../cmd/wire.ts';
import { recordingLog } from '../support/recording-log.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { SECRET } from './tokens.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../cmd/services');

export type EveryService = Awaited<ReturnType<typeof startEveryService>>;

export async function startEveryService(env: Readonly<Record<string, string>> = {}) {
  const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  const urls = { DATABASE_URL: database.url, REDIS_URL: redis.url };
  const log = recordingLog();
  const auth = env.AUTH === 'off' ? {} : { AUTH_JWT_SECRET: SECRET };
  const wiring = await wire({ ...readConfig({ PORT: '0', ...urls, ...auth, ...env }), ...urls }, log);
  const modules = await Promise.all(
    readdirSync(FOLDER)
      .filter((file) => file.endsWith('.ts'))
      .map((file) => import(`../../cmd/services/${path.basename(file, '.ts')}.ts`)),
  );
  const services = modules.map(
    (module) => Object.values<(from: typeof wiring) => Service>(module)[0]?.(wiring) as Service,
  );
  const running = await run(
    services.map(({ name, needs, routes = [], gauges = [] }) => ({ name, needs, routes, gauges })),
    wiring,
  );
  return {
    ...running,
    wiring,
    services,
    log,
    databaseUrl: database.url,
    redisUrl: redis.url,
    async close() {
      await running.stop();
      await Promise.all([database.drop(), redis.drop()]);
    },
  };
}

/** Every service, wired as in the program and serving its routes, without loops and consumers. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { readConfig } from '../../cmd/config.ts';
import { run } from '../../cmd/run.ts';
import { type Service, wire } from '../../cmd/wire.ts';
import { recordingLog } from '../support/recording-log.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../cmd/services');

export async function startServices(settings: Readonly<Record<string, string>>) {
  const log = recordingLog();
  const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  const urls = { DATABASE_URL: database.url, REDIS_URL: redis.url };
  const wiring = await wire({ ...readConfig({ PORT: '0', ...urls, ...settings }), ...urls }, log);
  const modules = await Promise.all(
    readdirSync(FOLDER)
      .filter((file) => file.endsWith('.ts'))
      .map((file) => import(path.join(FOLDER, file))),
  );
  const services = modules.map((module) =>
    Object.values<(from: typeof wiring) => Service>(module)[0]!(wiring),
  );
  const running = await run(
    services.map(({ name, needs, routes = [] }) => ({ name, needs, routes })),
    wiring,
  );
  return {
    services,
    log,
    url: running.url,
    async stop() {
      await running.stop();
      await Promise.all([database.drop(), redis.drop()]);
    },
  };
}

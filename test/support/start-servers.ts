/** Starts the servers of a test run: Postgres, Valkey as WebAssembly, and redis-server if it is installed. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type EmbeddedServers, startEmbedded } from '../../cmd/embedded/servers.ts';

export interface TestServers {
  env: { TEST_DATABASE_URL: string; TEST_REDIS_URL: string; TEST_NATIVE_REDIS_URL?: string };
  /** Stops the servers and removes their directory. Safe to call twice. */
  stop(): Promise<void>;
}

/** REDIS_TESTS=required makes a missing redis-server an error, for runs that must not pass without it. */
export async function startTestServers(): Promise<TestServers> {
  if (process.env.REDIS_TESTS === 'required' && !hasNativeRedis())
    throw new Error('REDIS_TESTS=required, and there is no redis-server on the PATH');
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-test-'));
  fs.chmodSync(root, 0o755);
  const started: EmbeddedServers[] = [];
  const start = async (name: string, kinds: { postgres: boolean; redisKind: 'native' | 'wasm' }) => {
    const servers = await startEmbedded({
      ...kinds,
      dataDir: path.join(root, name),
      redis: true,
    });
    started.push(servers);
    void servers.failed.then(console.error);
    return servers;
  };
  const stop = async () => {
    await Promise.all(started.map((servers) => servers.stop()));
    fs.rmSync(root, { recursive: true, force: true });
  };

  const [main, native] = await Promise.allSettled([
    start('main', { postgres: true, redisKind: 'wasm' }),
    hasNativeRedis() ? start('native', { postgres: false, redisKind: 'native' }) : undefined,
  ]);
  if (main.status === 'rejected' || native.status === 'rejected') {
    await stop();
    throw main.status === 'rejected' ? main.reason : (native as PromiseRejectedResult).reason;
  }
  return {
    env: {
      TEST_DATABASE_URL: main.value.databaseUrl!,
      TEST_REDIS_URL: main.value.redisUrl!,
      ...(native.value && { TEST_NATIVE_REDIS_URL: native.value.redisUrl! }),
    },
    stop,
  };
}

export function hasNativeRedis(): boolean {
  return (process.env.PATH ?? '')
    .split(path.delimiter)
    .some((dir) =>
      ['redis-server', 'valkey-server'].some((program) => fs.existsSync(path.join(dir, program))),
    );
}

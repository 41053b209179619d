/** Runs a peer's script under the Node.js that bench/package.json installs, since graphile-worker needs 22.18. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const run = promisify(execFile);

export type Peer = 'bullmq' | 'graphile-worker';

/** Installs the peers if they are missing. */
export async function installPeers(): Promise<void> {
  if (existsSync(`${HERE}node_modules`)) return;
  console.error('installing the peers (npm ci --prefix bench)');
  await run('npm', ['ci', '--prefix', HERE], { shell: process.platform === 'win32' });
}

/** Jobs per second, which the peer's script prints as JSON on its last line. */
export async function runPeer(
  peer: Peer,
  task: 'enqueue' | 'drain',
  serverUrl: string,
  jobs: number,
): Promise<number> {
  const { stdout } = await run(
    `${HERE}node_modules/node/bin/node`,
    [`${HERE}peers/${peer}.mjs`, task, serverUrl, String(jobs)],
    { env: { ...process.env, NODE_ENV: 'production', GRAPHILE_LOGGER_DEBUG: '' }, timeout: 120_000 },
  );
  return Number(JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}').perSecond);
}

/**
 * Measures how soon everything works again after a server was away, and how soon another process takes over.
 * `--stream kafka` has the stream in Kafka, and breaks it too; `--outages 3,30` are the lengths in seconds; `--only TEXT` takes
 * the rows that contain the text; each `--root DIR` measures the version in another checkout.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Program, startProgram } from '../test/support/program.ts';
import { FAULTS } from './recovery/faults.ts';
import { measureOutage, type Recovery } from './recovery/outage.ts';
import { type Servers, startServers } from './recovery/servers.ts';
import { measureTakeovers } from './recovery/takeover.ts';
import { machineLine } from './table.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const LIMIT_MS = { recovery: 2_000, silence: 5_000, takeover: 5_000 };

const { values: given } = parseArgs({
  options: {
    outages: { type: 'string', default: '3,30' },
    only: { type: 'string', default: '' },
    stream: { type: 'string', default: 'postgres' },
    root: { type: 'string', multiple: true, default: [ROOT] },
  },
});
// Servers and programs do not outlive a run that is broken off.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    spawnSync('pkill', ['-KILL', '-P', String(process.pid)]);
    process.exit(130);
  });
const stream = given.stream === 'kafka' ? 'kafka' : 'postgres';
const SERVICES = [
  ...['order-service', 'scheduler-worker', 'processing-service'],
  ...(stream === 'kafka' ? ['event-relay'] : []),
];
/** Which of them are not ready while a server is away. The order-service goes on to take orders without a stream. */
const NEEDS = {
  postgres: SERVICES,
  redis: ['scheduler-worker'],
  kafka: SERVICES.filter((service) => service !== 'order-service'),
};
const outages = given.outages.split(',').map(Number);
const isWanted = (name: string) => name.toLowerCase().includes(given.only.toLowerCase());

const seconds = (ms: number) => (Number.isFinite(ms) ? `${(ms / 1_000).toFixed(1)} s` : 'never');
const cell = (ms: number, limitMs: number) => `${seconds(ms)}${ms > limitMs ? ' (!)' : ''}`;
const row = (...cells: string[]) => console.log(`| ${cells.join(' | ')} |`);
const head = (...cells: string[]) => {
  console.log();
  row(...cells);
  row(...cells.map(() => '---'));
};

/** When each program said that it is not ready; `(!)` marks one that should have said it, or should not. */
function honesty({ notReadyMs }: Recovery, away: keyof typeof NEEDS, isMoment = false): string {
  return SERVICES.map((service) => {
    const ms = notReadyMs.get(service);
    const isRight = isMoment || (ms !== undefined) === NEEDS[away].includes(service);
    return `${ms === undefined ? 'ready' : seconds(ms)}${isRight ? '' : ' (!)'}`;
  }).join(', ');
}

async function measureOutages(servers: Servers, root: string): Promise<void> {
  const faults = FAULTS.filter(
    ({ name, away }) => isWanted(name) && (away !== 'kafka' || stream === 'kafka'),
  );
  if (faults.length === 0) return;
  const link = await servers.link();
  const programs = new Map<string, Program>();
  try {
    for (const service of SERVICES)
      programs.set(service, await startProgram({ ...link.env }, [service], { cwd: root }));
    head(
      'fault',
      'lasts',
      'orders placed complete',
      'orders due are dispatched',
      'all ready',
      `not ready (${SERVICES.join(', ')})`,
    );
    for (const fault of faults)
      for (const outage of fault.isMoment ? [0] : outages) {
        const found = await measureOutage({ servers, link, programs }, fault, outage * 1_000);
        const limit = fault.isMoment ? LIMIT_MS.silence : LIMIT_MS.recovery;
        const times = [found.placedMs, found.dueMs, found.readyMs].map((ms) => cell(ms, limit));
        row(
          fault.name,
          fault.isMoment ? '' : `${outage} s`,
          ...times,
          honesty(found, fault.away, fault.isMoment),
        );
      }
  } finally {
    await Promise.all([...programs.values()].map((program) => program.kill()));
  }
}

for (const root of given.root) {
  const servers = await startServers(stream);
  try {
    if (given.root.length > 1) console.log(`\n${root}`);
    console.log(await machineLine(servers.postgres.url, servers.redis().url));
    await measureOutages(servers, root);
    head('lost', 'orders due or placed then complete');
    await measureTakeovers(servers, root, isWanted, (name, ms) => row(name, cell(ms, LIMIT_MS.takeover)));
  } finally {
    await servers.stop();
  }
}

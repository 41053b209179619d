/** Runs the tests (`npm test -- [part of a path …]`) on servers of their own, which it stops afterwards. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { loadPages } from '../cmd/pages.ts';
import { createLogger } from '../internal/transport/telemetry/logger.ts';
import { bundle, bundled } from './support/bundle.ts';
import { startTestServers } from './support/start-servers.ts';

/** The time limit of a test file; a file that hangs then fails, and the report names it. */
const FILE_MS = 480_000;

const root = path.resolve(import.meta.dirname, '..');

function testFiles(wanted: string[]): string[] {
  return ['internal', 'cmd', 'test']
    .flatMap((top) =>
      fs
        .readdirSync(path.join(root, top), { recursive: true, encoding: 'utf8' })
        .map((file) => path.join(top, file)),
    )
    .filter((file) => file.endsWith('.test.ts') && !file.split(path.sep).includes('node_modules'))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
    .sort();
}

const files = testFiles(process.argv.slice(2));
if (files.length === 0) {
  console.error('No test file matches.');
  process.exit(1);
}

let interrupted: NodeJS.Signals | undefined;
let tests: ReturnType<typeof spawn> | undefined;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    interrupted = name;
    tests?.kill('SIGTERM');
  });
}

// Here once, so that the programs that tests start find them.
await loadPages(createLogger('warn', 'auto'));
const PROGRAM = 'cmd/tiffin.ts';
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-bundle-'));
const servers = await startTestServers();
try {
  await bundle(dir, [PROGRAM, ...files]);
  if (!interrupted) {
    const options = ['--test-concurrency=2', '--test-reporter=spec', `--test-timeout=${FILE_MS}`];
    tests = spawn(
      process.execPath,
      ['--enable-source-maps', '--test', ...options, ...files.map((file) => bundled(dir, file))],
      {
        cwd: root,
        // A JVM without its optimising compiler starts with half the work.
        env: {
          ...{ JAVA_TOOL_OPTIONS: '-XX:TieredStopAtLevel=1', ...process.env, ...servers.env },
          TEST_PROGRAM: bundled(dir, PROGRAM),
        },
        stdio: 'inherit',
      },
    );
    const [code] = (await once(tests, 'exit')) as [number | null];
    process.exitCode = code ?? 1;
  }
} finally {
  await servers.stop();
  fs.rmSync(dir, { recursive: true, force: true });
}
if (interrupted) process.exitCode = 130;

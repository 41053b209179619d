/** Runs Schemathesis, which tests an API by its OpenAPI document, in a Python environment of its own. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { lock } from 'proper-lockfile';

const SETUP = fileURLToPath(new URL('../api-document', import.meta.url));
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/schemathesis', import.meta.url));
const INSTALL_MS = 180_000;
/** How long a run may take beyond its time limit, which a request or a test case may exceed. */
const MARGIN_MS = 60_000;
const run = promisify(execFile);

/** Why tests with Schemathesis are skipped; SCHEMATHESIS_TESTS=required makes a missing one an error. */
export async function whyNoSchemathesis(): Promise<string | undefined> {
  const asked = process.env.SCHEMATHESIS_TESTS;
  if (!asked || asked === '0')
    return 'set SCHEMATHESIS_TESTS=1 to test the API by its document (Python 3.10)';
  try {
    fs.mkdirSync(CACHE, { recursive: true });
    // Two test files may need it at the same time.
    const release = await lock(CACHE, {
      lockfilePath: `${CACHE}.lock`,
      retries: { retries: INSTALL_MS / 500, factor: 1, minTimeout: 500 },
    });
    await install().finally(release);
    return undefined;
  } catch (error) {
    const fault = `Schemathesis cannot be installed: ${(error as Error).message}`;
    if (asked === 'required') throw new Error(`SCHEMATHESIS_TESTS=required, and ${fault}`);
    return fault;
  }
}

/** Once for each list of requirements. */
async function install(): Promise<void> {
  const requirements = path.join(SETUP, 'requirements.txt');
  const complete = path.join(CACHE, 'requirements.txt');
  const isComplete =
    fs.existsSync(complete) && fs.readFileSync(complete).equals(fs.readFileSync(requirements));
  if (isComplete) return;
  await run('python3', ['-m', 'venv', '--clear', CACHE], { timeout: INSTALL_MS });
  const pip = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--requirement',
    requirements,
  ];
  await run(path.join(CACHE, 'bin', 'python'), pip, { timeout: INSTALL_MS });
  fs.copyFileSync(requirements, complete);
}

export interface Fuzzing {
  /** The server's URL. */
  readonly url: string;
  readonly seed: number;
  readonly phases: readonly ('examples' | 'coverage' | 'fuzzing')[];
  /** Time limit of the whole run, seconds. */
  readonly seconds: number;
  /** Ids that exist, by the parameters that take them, such as `path.id`; a part of the requests has them. */
  readonly known: Readonly<Record<string, readonly string[]>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Resolves with the report, and whether nothing was found. */
export async function fuzz(fuzzing: Fuzzing): Promise<{ found: boolean; report: string }> {
  const { url, seed, phases, seconds, known, headers = {} } = fuzzing;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-schemathesis-'));
  const config = path.join(folder, 'schemathesis.toml');
  fs.writeFileSync(
    config,
    fs.readFileSync(path.join(SETUP, 'schemathesis.toml'), 'utf8') + dictionaries(known),
  );
  const options = ['--phases', phases.join(','), '--seed', String(seed), '--max-time', String(seconds)];
  for (const [name, value] of Object.entries(headers)) options.push('--header', `${name}: ${value}`);
  const command = path.join(CACHE, 'bin', 'schemathesis');
  const args = ['--config-file', config, 'run', `${url}/openapi.json`, ...options];
  try {
    const { stdout } = await run(command, args, {
      cwd: folder,
      env: { PATH: process.env.PATH, PYTHONPATH: SETUP, PYTHONDONTWRITEBYTECODE: '1' },
      timeout: seconds * 1_000 + MARGIN_MS,
      maxBuffer: 1 << 26,
    });
    return { found: false, report: stdout };
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
    return { found: true, report: stdout + stderr || message };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function dictionaries(known: Fuzzing['known']): string {
  const entries = Object.entries(known).map(([parameter, values], index) => ({ parameter, values, index }));
  return [
    '\n[dictionaries]',
    ...entries.map(({ values, index }) => `known-${index} = { values = ${JSON.stringify(values)} }`),
    '[parameters]',
    ...entries.map(
      ({ parameter, index }) => `"${parameter}" = { dictionary = "known-${index}", probability = 0.5 }`,
    ),
    '',
  ].join('\n');
}

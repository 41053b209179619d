/** Finds the built pages in web/dist by the digest of their sources, or builds them with Vite. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Log } from '../internal/service/ports.ts';
import type { Pages } from '../internal/transport/http/routes/views/page-routes.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const BUILD_LIMIT_MS = 60_000;
const MISSING =
  'The pages are not built, and Vite, which builds them, is not installed: run `npm ci` and start again.';

/** `root` is the directory of the checkout. Never rejects: a server without its pages still serves its API. */
export async function loadPages(log: Log, root = ROOT): Promise<Pages> {
  const dist = path.join(root, 'web', 'dist');
  try {
    const digest = digestOf(root);
    const current = path.join(dist, digest);
    if (fs.existsSync(current)) return { files: filesIn(current) };
    const vite = viteOf(root);
    if (vite) return { files: await build(log, { root, vite, dist, digest }) };
    const other = buildsIn(dist)[0];
    if (!other) {
      log.warn({}, MISSING);
      return { files: new Map(), missing: MISSING };
    }
    log.warn(
      { build: other },
      'the pages are older than their sources: Vite, which builds them, is not installed',
    );
    return { files: filesIn(path.join(dist, other)) };
  } catch (error) {
    log.error({ err: error }, 'the pages could not be built');
    return { files: new Map(), missing: 'The pages could not be built; the log has the reason.' };
  }
}

/** Of everything that a build is made from; package.json names the versions of what it uses. */
function digestOf(root: string): string {
  const hash = createHash('sha256');
  const web = path.join(root, 'web');
  const sources = fs
    .readdirSync(web, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.split(path.sep)[0] !== 'dist' && fs.statSync(path.join(web, name)).isFile())
    .sort();
  for (const name of [...sources, path.join('..', 'package.json')])
    hash
      .update(`${name.replaceAll(path.sep, '/')}\0`)
      .update(fs.readFileSync(path.join(web, name)))
      .update('\0');
  return hash.digest('hex').slice(0, 16);
}

interface Build {
  readonly root: string;
  readonly vite: string;
  readonly dist: string;
  readonly digest: string;
}

/**
 * Builds into a directory of its own and gives it its name afterwards, so that processes that start together do not
 * disturb each other. Where the checkout cannot be written, the build is only read into memory.
 */
async function build(log: Log, { root, vite, dist, digest }: Build): Promise<Pages['files']> {
  const started = performance.now();
  const { directory, isKept } = placeFor(dist);
  try {
    const options = [
      '--configLoader',
      'runner',
      '--logLevel',
      'warn',
      '--emptyOutDir',
      '--outDir',
      directory,
    ];
    const command = [vite, 'build', path.join(root, 'web'), ...options];
    await promisify(execFile)(process.execPath, command, { cwd: root, timeout: BUILD_LIMIT_MS });
    const files = filesIn(directory);
    if (isKept) keep(directory, dist, digest);
    log.info({ ms: Math.round(performance.now() - started), kept: isKept }, 'the pages are built');
    return files;
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

function placeFor(dist: string): { directory: string; isKept: boolean } {
  try {
    fs.mkdirSync(dist, { recursive: true });
    return { directory: fs.mkdtempSync(path.join(dist, '.building-')), isKept: true };
  } catch {
    return { directory: fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-pages-')), isKept: false };
  }
}

function keep(directory: string, dist: string, digest: string): void {
  // mkdtemp closes it to others, who may start Tiffin from here as well.
  fs.chmodSync(directory, 0o755);
  try {
    fs.renameSync(directory, path.join(dist, digest));
  } catch (error) {
    // Another process was first, with the same content.
    if (!fs.existsSync(path.join(dist, digest))) throw error;
  }
  for (const old of buildsIn(dist))
    if (old !== digest) fs.rmSync(path.join(dist, old), { recursive: true, force: true });
}

function buildsIn(dist: string): string[] {
  return fs.existsSync(dist) ? fs.readdirSync(dist).filter((name) => !name.startsWith('.')) : [];
}

function filesIn(directory: string): Map<string, Buffer> {
  const names = fs
    .readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => fs.statSync(path.join(directory, name)).isFile());
  return new Map(
    names.map((name) => [name.replaceAll(path.sep, '/'), fs.readFileSync(path.join(directory, name))]),
  );
}

function viteOf(root: string): string | undefined {
  try {
    const file = createRequire(path.join(root, 'package.json')).resolve('vite/package.json');
    return path.join(path.dirname(file), 'bin', 'vite.js');
  } catch {
    return undefined;
  }
}

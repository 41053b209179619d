/** Kafka's jars: fetched once by Maven, kept in the cache below node_modules. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const MIN_JAVA = 17;
const POM = fileURLToPath(new URL('pom.xml', import.meta.url));
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/kafka', import.meta.url));

/** The folder of the jars, by the content of the pom, so an edited version never runs with the old jars. */
export const JARS = join(CACHE, createHash('sha256').update(readFileSync(POM)).digest('hex').slice(0, 12));

export const java = () => (process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java');
export const run = promisify(execFile);

/**
 * The reason a broker cannot be had on this machine, or undefined. Downloads the jars when they are not in
 * the cache, so that undefined also means no network is needed any more.
 */
export async function kafkaAvailable(): Promise<string | undefined> {
  const version = await run(java(), ['-version']).then(
    ({ stderr }) => Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0),
    () => undefined,
  );
  if (version === undefined) return `Kafka needs Java ${MIN_JAVA} or newer, and \`${java()}\` does not run`;
  if (version < MIN_JAVA) return `Kafka needs Java ${MIN_JAVA} or newer, and this is Java ${version}`;
  if (existsSync(JARS)) return undefined;
  const maven = await run('mvn', ['-v']).catch(() => undefined);
  if (!maven) return "Kafka's jars are fetched by Maven, and `mvn` does not run";
  return fetchJars().then(
    () => undefined,
    (error: Error & { stdout?: string }) =>
      `Maven could not fetch Kafka's jars: ${/\[ERROR\] (.+)/.exec(error.stdout ?? '')?.[1] ?? error.message}`,
  );
}

async function fetchJars(): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const partial = await mkdtemp(join(CACHE, 'partial-'));
  try {
    await run('mvn', ['-q', '-B', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${partial}`]);
    await rename(partial, JARS).catch((error) => {
      if (!existsSync(JARS)) throw error; // Else another process was first, with the same jars.
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

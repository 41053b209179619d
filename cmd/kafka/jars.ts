/** Downloads Kafka's jars once with Maven, into a cache below node_modules. */
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

/** The folder of the jars; its name is a hash of the pom, so that a changed pom never runs with old jars. */
export const JARS = join(CACHE, createHash('sha256').update(readFileSync(POM)).digest('hex').slice(0, 12));

export const java = () => (process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java');
export const run = promisify(execFile);

/**
 * Resolves with the reason why a broker cannot run on this machine, or with undefined. Downloads the jars if they are not
 * in the cache, so that starting the broker needs no network afterwards.
 */
export async function kafkaAvailable(): Promise<string | undefined> {
  const version = await run(java(), ['-version']).then(
    ({ stderr }) => Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0),
    () => undefined,
  );
  if (version === undefined) return `Kafka needs Java ${MIN_JAVA} or newer, but \`${java()}\` does not run`;
  if (version < MIN_JAVA) return `Kafka needs Java ${MIN_JAVA} or newer, but this is Java ${version}`;
  if (existsSync(JARS)) return undefined;
  const maven = await run('mvn', ['-v']).catch(() => undefined);
  if (!maven) return "Maven is needed to download Kafka's jars, but `mvn` does not run";
  return fetchJars().then(
    () => undefined,
    (error: Error & { stdout?: string }) =>
      `Maven could not download Kafka's jars: ${/\[ERROR\] (.+)/.exec(error.stdout ?? '')?.[1] ?? error.message}`,
  );
}

async function fetchJars(): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const partial = await mkdtemp(join(CACHE, 'partial-'));
  try {
    await run('mvn', ['-q', '-B', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${partial}`]);
    await rename(partial, JARS).catch((error) => {
      if (!existsSync(JARS)) throw error; // Otherwise another process has already put the same jars there.
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

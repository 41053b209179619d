/** Downloads the jars of a pom once with Maven, into a cache below node_modules. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const MIN_JAVA = 17;

export const java = () => (process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java');
export const run = promisify(execFile);

export interface Jars {
  /** Whether they were downloaded before. */
  isCached(): boolean;
  /**
   * Resolves with the reason why the server cannot run on this machine, or with undefined. Downloads the jars if they are
   * not in the cache, so that starting the server needs no network afterwards.
   */
  whyNot(): Promise<string | undefined>;
  /** The arguments of `java` with the class path. */
  classPath(): readonly string[];
}

/** The jars of the server with this name. */
export function jarsOf(name: string, pom: URL): Jars {
  const pomFile = fileURLToPath(pom);
  const cache = fileURLToPath(new URL(`../../node_modules/.cache/${name.toLowerCase()}`, import.meta.url));
  // The folder's name is a hash of the pom, so that a changed pom never runs with old jars.
  const dir = join(cache, createHash('sha256').update(readFileSync(pomFile)).digest('hex').slice(0, 12));

  async function fetchJars(): Promise<void> {
    await mkdir(cache, { recursive: true });
    const partial = await mkdtemp(join(cache, 'partial-'));
    try {
      const copy = ['dependency:copy-dependencies', `-DoutputDirectory=${partial}`];
      await run('mvn', ['-q', '-B', '-f', pomFile, ...copy]);
      await rename(partial, dir).catch((error) => {
        if (!existsSync(dir)) throw error; // Otherwise another process has already put the same jars there.
      });
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
  }

  return {
    isCached: () => existsSync(dir),
    async whyNot() {
      const version = await run(java(), ['-version']).then(
        ({ stderr }) => Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0),
        () => undefined,
      );
      const needs = `${name} needs Java ${MIN_JAVA} or newer`;
      if (version === undefined) return `${needs}, but \`${java()}\` does not run`;
      if (version < MIN_JAVA) return `${needs}, but this is Java ${version}`;
      if (existsSync(dir)) return undefined;
      const maven = await run('mvn', ['-v']).catch(() => undefined);
      if (!maven) return `Maven is needed to download the jars of ${name}, but \`mvn\` does not run`;
      return fetchJars().then(
        () => undefined,
        (error: Error & { stdout?: string }) =>
          `Maven could not download the jars of ${name}: ${/\[ERROR\] (.+)/.exec(error.stdout ?? '')?.[1] ?? error.message}`,
      );
    },
    classPath() {
      const jars = readdirSync(dir).filter((file) => file.endsWith('.jar'));
      return [
        '-cp',
        jars
          .sort()
          .map((file) => join(dir, file))
          .join(':'),
      ];
    },
  };
}

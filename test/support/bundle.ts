/** Programs and tests as plain JavaScript: each of their processes starts in a third of the time that tsx takes. */
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const ROOT = path.resolve(import.meta.dirname, '../..');

/**
 * Puts each of the files, which are relative to the root, into `dir` as `<file without .ts>.mjs`, with what they share in files of
 * its own, and a link to the packages. Each module finds its scripts and pages where its source is. Keeping the names of
 * functions costs time wherever one is made.
 */
export async function bundle(
  dir: string,
  files: readonly string[],
  { keepNames = true } = {},
): Promise<void> {
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(dir, 'node_modules'));
  await build({
    entryPoints: files.map((file) => path.join(ROOT, file)),
    outdir: dir,
    outbase: ROOT,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    keepNames,
    sourcemap: 'linked',
    plugins: [
      {
        name: 'sources',
        setup: ({ onLoad }) =>
          onLoad({ filter: /\.ts$/ }, ({ path: file }) => ({ loader: 'ts', contents: located(file) })),
      },
    ],
  });
}

/** The text of the file, with the place of the source wherever it asks for its own. */
function located(file: string): string {
  const url = pathToFileURL(file).href;
  return fs
    .readFileSync(file, 'utf8')
    .replaceAll(/\bimport\.meta\.resolve\('(\.[^']+)'\)/g, (_, to) => JSON.stringify(new URL(to, url).href))
    .replaceAll(/\bimport\.meta\.url\b/g, JSON.stringify(url))
    .replaceAll(/\bimport\.meta\.dirname\b/g, JSON.stringify(path.dirname(file)));
}

/** Where `bundle` has put a file. */
export function bundled(dir: string, file: string): string {
  return path.join(dir, file.replace(/\.ts$/, '.mjs'));
}

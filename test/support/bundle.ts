/** The program as one file, so that a process of the fleet starts in a fraction of the time. */
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Puts the file into `dir`, beside a link to the packages; it finds its scripts and pages where its sources are. */
export async function bundle(dir: string): Promise<string> {
  const outfile = path.join(dir, 'tiffin.mjs');
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(dir, 'node_modules'));
  await build({
    stdin: { contents: "import './test/chaos/member-calls.ts'; import './cmd/tiffin.ts';", resolveDir: ROOT },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    keepNames: true,
    plugins: [
      {
        name: 'sources',
        setup: ({ onLoad }) =>
          onLoad({ filter: /\.ts$/ }, ({ path: file }) => ({
            loader: 'ts',
            contents: fs
              .readFileSync(file, 'utf8')
              .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(file).href)),
          })),
      },
    ],
  });
  return outfile;
}

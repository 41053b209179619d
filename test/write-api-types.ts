/** `npm run api-types`: writes web/api.d.ts from the API's document, which servers of its own answer with. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { API_TYPES, documentOfPages, headerOf } from './http/operations/pages-document.ts';
import { startTestServers } from './support/start-servers.ts';

// It needs a TypeScript with a compiler API, which the one that checks this repository does not have.
const PACKAGES = ['openapi-typescript@7.13.0', 'typescript@5.9.3'].flatMap((name) => ['--package', name]);

const servers = await startTestServers();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-api-types-'));
try {
  Object.assign(process.env, servers.env);
  const document = await documentOfPages();
  const [from, to] = ['api.json', 'api.d.ts'].map((name) => path.join(folder, name)) as [string, string];
  fs.writeFileSync(from, JSON.stringify(document));
  execFileSync('npm', ['exec', '--yes', ...PACKAGES, '--', 'openapi-typescript', from, '--output', to], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  fs.writeFileSync(API_TYPES, headerOf(document) + fs.readFileSync(to, 'utf8'));
} finally {
  fs.rmSync(folder, { recursive: true });
  await servers.stop();
}

/** `npm run configuration`: writes docs/configuration.md and .env.example. */
import { writeFile } from 'node:fs/promises';
import { configurationPage, exampleFile } from './config/documentation.ts';

const ROOT = new URL('../', import.meta.url);

await writeFile(new URL('docs/configuration.md', ROOT), configurationPage());
await writeFile(new URL('.env.example', ROOT), exampleFile());

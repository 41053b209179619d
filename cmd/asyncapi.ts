/** `npm run asyncapi`: writes the AsyncAPI document and events.md to docs/; without `--write` only prints the document. */
import { writeFile } from 'node:fs/promises';
import { allConsumers } from './event-docs/catalogue.ts';
import { asyncApiDocument } from './event-docs/document.ts';
import { eventsPage } from './event-docs/markdown.ts';

const DOCS = new URL('../docs/', import.meta.url);

const consumers = await allConsumers();
const document = `${JSON.stringify(asyncApiDocument(consumers), null, 2)}\n`;
if (process.argv.includes('--write')) {
  await writeFile(new URL('asyncapi.json', DOCS), document);
  await writeFile(new URL('events.md', DOCS), eventsPage(consumers));
} else process.stdout.write(document);

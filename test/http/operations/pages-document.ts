/** The part of the API's document that the pages use, and the file with its types. */
import { createHash } from 'node:crypto';
import type { OpenApiDocument } from '../../../internal/transport/http/openapi.ts';
import { startEveryService } from '../every-service.ts';

export const API_TYPES = new URL('../../../web/api.d.ts', import.meta.url);

/** The paths that the pages ask for; their types change only with these. */
const USED =
  /^\/(orders|ui\/orders\/|v1\/(orders|tracking|restaurants|riders|quotes)\b|admin\/dlq|scheduler$|readyz)/;

/** The document without the other paths, and without the schemas that only those use. */
export async function documentOfPages(): Promise<OpenApiDocument> {
  const every = await startEveryService({ AUTH: 'off' });
  try {
    const document = (await (await fetch(`${every.url}/openapi.json`)).json()) as OpenApiDocument;
    const paths = Object.fromEntries(Object.entries(document.paths).filter(([path]) => USED.test(path)));
    const { responses } = document.components;
    const kept: OpenApiDocument['components']['schemas'] = {};
    const keep = (part: unknown): void => {
      for (const [, name = ''] of JSON.stringify(part).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
        if (name in kept) continue;
        kept[name] = document.components.schemas[name] as (typeof kept)[string];
        keep(kept[name]);
      }
    };
    keep([paths, responses]);
    return { ...document, paths, components: { responses, schemas: sorted(kept) } };
  } finally {
    await every.close();
  }
}

/** The first line of the file, by which a test sees whether it is older than the API. */
export function headerOf(document: OpenApiDocument): string {
  const digest = createHash('sha256')
    .update(JSON.stringify(sorted(document)))
    .digest('hex')
    .slice(0, 16);
  return `/** Written by \`npm run api-types\` from the API's document ${digest}. */\n`;
}

/** With the names of every object in order, so that the order of routes does not matter. */
function sorted<Part>(part: Part): Part {
  if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
  const entries = Object.entries(part).map(([name, value]) => [name, sorted(value)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))) as Part;
}

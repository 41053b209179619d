/** Serves the page to create and track orders: the listed files of web/. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Route, route } from '../../route.ts';

const WEB = new URL('../../../../../web/', import.meta.url);

const FILES = [
  ['/', 'index.html', 'text/html', 'A page to create and track orders'],
  ['/app.js', 'app.js', 'text/javascript', 'The page’s forms'],
  ['/elements.js', 'elements.js', 'text/javascript', 'The page’s DOM elements'],
  ['/server.js', 'server.js', 'text/javascript', 'The page’s requests to the server'],
  ['/tracking.js', 'tracking.js', 'text/javascript', 'The page’s live tracking of an order'],
  ['/view.js', 'view.js', 'text/javascript', 'The page’s texts'],
  ['/style.css', 'style.css', 'text/css', 'The page’s styles'],
] as const;

// No resources of other origins, no inline code, and no text parsed as HTML.
const POLICY = [
  "default-src 'none'",
  ...["script-src 'self'", "style-src 'self'", "connect-src 'self'"],
  ...["base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"],
  "require-trusted-types-for 'script'",
].join('; ');

export function pageRoutes(): readonly Route[] {
  return FILES.map(([path, file, type, summary]) =>
    route({
      method: 'GET',
      path,
      access: 'anyone',
      tag: 'Screens',
      summary,
      answers: { 200: { description: 'The file', type }, 304: { description: 'The file has not changed' } },
      async handle(ctx) {
        const body = await readFile(new URL(file, WEB));
        ctx.body = body;
        ctx.type = type;
        ctx.etag = createHash('sha256').update(body).digest('base64url');
        ctx.set({
          // The browser revalidates each time, so that all files are of the same version.
          'Cache-Control': 'no-cache',
          'Content-Security-Policy': POLICY,
          'Referrer-Policy': 'no-referrer',
        });
      },
    }),
  );
}

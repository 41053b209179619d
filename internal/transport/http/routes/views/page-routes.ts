/** The page to create and track orders: the files of web/, and no others. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Route, route } from '../../route.ts';

const WEB = new URL('../../../../../web/', import.meta.url);

const FILES = [
  ['/', 'index.html', 'text/html', 'A page to create and track orders'],
  ['/app.js', 'app.js', 'text/javascript', 'What the page does'],
  ['/elements.js', 'elements.js', 'text/javascript', 'What the page is made of'],
  ['/server.js', 'server.js', 'text/javascript', 'Whom the page asks'],
  ['/tracking.js', 'tracking.js', 'text/javascript', 'How the page follows an order'],
  ['/view.js', 'view.js', 'text/javascript', 'What the page says'],
  ['/style.css', 'style.css', 'text/css', 'How the page looks'],
] as const;

// Nothing from elsewhere, nothing inline, and no text that becomes HTML.
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
      answers: { 200: { description: 'The file', type }, 304: { description: 'It has not changed' } },
      async handle(ctx) {
        const body = await readFile(new URL(file, WEB));
        ctx.body = body;
        ctx.type = type;
        ctx.etag = createHash('sha256').update(body).digest('base64url');
        ctx.set({
          // Asked for each time, so that the files are always of one version.
          'Cache-Control': 'no-cache',
          'Content-Security-Policy': POLICY,
          'Referrer-Policy': 'no-referrer',
          'X-Content-Type-Options': 'nosniff',
        });
        if (ctx.fresh) ctx.status = 304;
      },
    }),
  );
}

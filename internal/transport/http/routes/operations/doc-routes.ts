/** Serves the OpenAPI document and Swagger UI. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Context } from 'koa';
import { z } from 'zod';
import { TiffinError } from '../../../../domain/errors.ts';
import { type OpenApiDocument, openApiDocument } from '../../openapi.ts';
import { type Route, route } from '../../route.ts';

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tiffin: the API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const START = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#api',
  deepLinking: true,
  persistAuthorization: true,
  validatorUrl: null,
});
`;

/** The only files of swagger-ui-dist that are served. */
const ASSETS = new Map([
  ['swagger-ui.css', 'text/css'],
  ['swagger-ui-bundle.js', 'text/javascript'],
  ['swagger-ui-standalone-preset.js', 'text/javascript'],
  ['favicon-16x16.png', 'image/png'],
  ['favicon-32x32.png', 'image/png'],
]);

// Swagger UI needs inline styles and data: images; everything else must come from this server.
const POLICY = [
  ...["default-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:"],
  ...["object-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
].join('; ');

const OPEN = { method: 'GET', access: 'anyone', tag: 'Documentation' } as const;

/** `tokens`: whether the guarded routes ask for one. */
export function docRoutes(documented: readonly Route[], tokens: boolean): readonly Route[] {
  let document: OpenApiDocument | undefined;
  const routes = [
    route({
      ...OPEN,
      path: '/openapi.json',
      summary: 'This API as an OpenAPI document',
      answers: { 200: { description: 'OpenAPI 3.1', type: 'application/json' } },
      handle(ctx) {
        document ??= openApiDocument([...documented, ...routes], tokens);
        ctx.body = document;
      },
    }),
    route({
      ...OPEN,
      path: '/docs',
      summary: 'This API as a Swagger UI page',
      answers: { 200: { description: 'The page', type: 'text/html' } },
      handle(ctx) {
        ctx.set({ 'Content-Security-Policy': POLICY, 'Referrer-Policy': 'no-referrer' });
        show(ctx, PAGE, 'text/html');
      },
    }),
    route({
      ...OPEN,
      path: '/docs/:file',
      params: { file: z.enum([...ASSETS.keys(), 'start.js']) },
      summary: 'The scripts, styles and icons of the Swagger UI page',
      answers: {
        200: { description: 'The file', type: '*/*' },
        404: { description: 'The page has no such file' },
      },
      async handle(ctx, { params: { file } }) {
        if (file === 'start.js') return show(ctx, START, 'text/javascript');
        const type = ASSETS.get(file);
        if (!type) throw new TiffinError('ROUTE_NOT_FOUND', `there is no ${ctx.method} ${ctx.path}`);
        const folder = path.dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
        ctx.set('Cache-Control', 'public, max-age=3600');
        show(ctx, await readFile(path.join(folder, file)), type);
      },
    }),
  ];
  return routes;
}

function show(ctx: Context, body: string | Buffer, type: string): void {
  ctx.body = body;
  ctx.type = type;
}

/** Serves the built pages: their HTML, and the files that it names, whose names change with their content. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Context } from 'koa';
import { z } from 'zod';
import { TiffinError } from '../../../../domain/errors.ts';
import { ORDER_ID } from '../../../../domain/order.ts';
import { type Answer, type Route, route } from '../../route.ts';
import { isTokenLike } from '../../tracking-links.ts';

export interface Pages {
  /** By path from the root of the build, such as `index.html` and `assets/index-1a2b3c4d.js`. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** One sentence for people, where there is no build. */
  readonly missing?: string;
}

interface Served {
  readonly type: string;
  readonly body: Buffer;
  readonly compressed: Buffer;
  readonly tag: string;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

// No resources of other origins, no inline code, and no text parsed as HTML.
const POLICY = [
  "default-src 'none'",
  ...["script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'"],
  ...["base-uri 'none'", "form-action 'self'", "require-trusted-types-for 'script'"],
];
const UNFRAMED = "frame-ancestors 'none'";

/** The pages of those who work, and those of one of them. */
const LISTS = [
  ['/kitchen', 'kitchen.html', 'The page that lists the kitchens'],
  ['/rider', 'rider.html', 'The page on which a rider says who it is'],
  ['/console', 'console.html', 'The console of operators'],
  ['/console/letters', 'console.html', 'The console: dead letters'],
] as const;
const BOARDS = [
  ['/kitchen/:id', 'kitchen.html', 'The page of a kitchen: its tickets, live'],
  ['/rider/:id', 'rider.html', 'The page of a rider: the orders that it has, live'],
  ['/console/letters/:id', 'console.html', 'The console: a dead letter'],
] as const;

const ANSWERS = {
  200: { description: 'The page', type: 'text/html' },
  304: { description: 'The page has not changed' },
  503: { description: 'The pages are not built here', type: 'text/plain' },
} as const satisfies Record<number, Answer>;
/** What the address names can be none; the page says so. */
const NO_SUCH = { description: 'The page, which says that there is nothing of this name', type: 'text/html' };

/** What the console's HTML has for the name of the environment. */
const NO_ENVIRONMENT = 'name="environment" content=""';

/**
 * The pages may still be on their way from a build; requests wait for it. `environment` is shown by the console: letters,
 * digits and `_.-` only.
 */
export function pageRoutes(pages: Promise<Pages>, environment = ''): readonly Route[] {
  const served = pages.then(({ files, missing }) => ({
    missing,
    files: new Map([...files].map(([name, body]) => [name, toServe(name, named(name, body))])),
  }));

  function named(name: string, body: Buffer): Buffer {
    if (name !== 'console.html' || !environment) return body;
    return Buffer.from(String(body).replace(NO_ENVIRONMENT, `name="environment" content="${environment}"`));
  }

  async function page(ctx: Context, name: string, policy: readonly string[]): Promise<void> {
    const { files, missing } = await served;
    ctx.set({
      // The browser asks each time whether there is a newer one; the files that it names are kept for good.
      'Cache-Control': 'no-cache',
      'Content-Security-Policy': policy.join('; '),
      'Referrer-Policy': 'no-referrer',
    });
    const file = files.get(name);
    if (file) return answer(ctx, file);
    ctx.status = 503;
    ctx.type = 'text/plain';
    ctx.body = `${missing}\n`;
  }

  const open = { method: 'GET', access: 'anyone', tag: 'Screens' } as const;
  return [
    route({
      ...open,
      path: '/',
      summary: 'The page to create and track orders',
      answers: ANSWERS,
      handle: (ctx) => page(ctx, 'index.html', [...POLICY, UNFRAMED]),
    }),
    ...LISTS.map(([path, file, summary]) =>
      route({
        ...open,
        path,
        summary,
        answers: ANSWERS,
        handle: (ctx) => page(ctx, file, [...POLICY, UNFRAMED]),
      }),
    ),
    ...BOARDS.map(([path, file, summary]) =>
      route({
        ...open,
        path,
        params: {
          id: z
            .string()
            .min(1)
            .meta({ description: 'The id of the restaurant, the rider or the dead letter' }),
        },
        summary,
        answers: { ...ANSWERS, 404: NO_SUCH },
        async handle(ctx, { params }) {
          await page(ctx, file, [...POLICY, UNFRAMED]);
          if (!ORDER_ID.test(params.id) && ctx.status === 200) ctx.status = 404;
        },
      }),
    ),
    route({
      ...open,
      path: '/track/:token',
      params: { token: z.string().min(1).meta({ description: 'The token of a tracking link' }) },
      summary: 'The page of a tracking link; other sites may show it in a frame',
      answers: { ...ANSWERS, 404: NO_SUCH },
      async handle(ctx, { params }) {
        // All that it may do is in its address, which a page that frames it has to know already.
        await page(ctx, 'track.html', POLICY);
        if (!isTokenLike(params.token) && ctx.status === 200) ctx.status = 404;
      },
    }),
    route({
      ...open,
      path: '/assets/:file',
      params: { file: z.string().min(1).meta({ description: 'A file that a page names' }) },
      summary: 'The scripts, styles and pictures of the pages',
      answers: {
        200: { description: 'The file', type: '*/*' },
        304: { description: 'The file has not changed' },
        404: { description: 'No page of this version has such a file' },
      },
      async handle(ctx, { params }) {
        const file = (await served).files.get(`assets/${params.file}`);
        if (!file) throw new TiffinError('ROUTE_NOT_FOUND', `there is no ${ctx.method} ${ctx.path}`);
        ctx.set('Cache-Control', 'public, max-age=31536000, immutable');
        answer(ctx, file);
      },
    }),
  ];
}

function toServe(name: string, body: Buffer): Served {
  return {
    type: TYPES[path.extname(name)] ?? 'application/octet-stream',
    body,
    compressed: gzipSync(body, { level: 9 }),
    tag: createHash('sha256').update(body).digest('base64url'),
  };
}

function answer(ctx: Context, { type, body, compressed, tag }: Served): void {
  const isCompressed = ctx.acceptsEncodings('gzip', 'identity') === 'gzip';
  ctx.vary('Accept-Encoding');
  if (isCompressed) ctx.set('Content-Encoding', 'gzip');
  ctx.body = isCompressed ? compressed : body;
  ctx.type = type;
  ctx.etag = isCompressed ? `${tag}-gzip` : tag;
}

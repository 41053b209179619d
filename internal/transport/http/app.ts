/** The HTTP application: the routers behind one middleware that turns errors into responses. */
import type Router from '@koa/router';
import Koa, { type Middleware } from 'koa';
import { TiffinError } from '../../domain/errors.ts';
import type { Log } from '../../service/ports.ts';
import { toErrorAnswer } from './errors.ts';

export function httpApp(routers: readonly Router[], log: Log): Koa {
  const app = new Koa();
  // The middleware below answers every error; Koa itself only sees clients that disconnected during a request.
  app.silent = true;
  app.use(async (ctx, next) => {
    // No answer is to be taken for a script or a page because of what it contains.
    ctx.set('X-Content-Type-Options', 'nosniff');
    try {
      await next();
      // Only for an entity tag of the answer that If-None-Match names; a method other than GET is never fresh.
      if (ctx.status === 200 && ctx.response.get('ETag') && ctx.fresh) ctx.status = 304;
      const allowed = ctx.response.get('Allow');
      // For a method that no route uses, the router answers 501, even on unknown paths.
      if ((ctx.status === 404 && ctx.body === undefined) || (ctx.status === 501 && !allowed)) {
        throw new TiffinError('ROUTE_NOT_FOUND', `there is no ${ctx.method} ${ctx.path}`);
      }
      if ((ctx.status === 405 || ctx.status === 501) && !ctx.body) {
        throw new TiffinError(
          'METHOD_NOT_ALLOWED',
          `${ctx.path} does not allow ${ctx.method}; it allows ${allowed}`,
        );
      }
    } catch (error) {
      const answer = toErrorAnswer(error);
      if (answer.status === 500)
        log.error(
          { err: error, method: ctx.method, path: ctx._matchedRoute ?? ctx.path },
          'a request failed',
        );
      ctx.status = answer.status;
      ctx.set(answer.headers);
      ctx.body = answer.body;
    }
  });
  app.use(exactPaths(routers));
  for (const router of routers) app.use(router.routes());
  for (const router of routers) app.use(router.allowedMethods());
  return app;
}

/**
 * A path without parameters is no value of a parameter of another path, also for methods that it does not have
 * (OpenAPI 3.1, section 4.8.8): `GET /admin/dlq/replay` reads no dead letter `replay`.
 */
function exactPaths(routers: readonly Router[]): Middleware {
  const methodsOf = new Map<string, string[]>();
  for (const { path, methods } of routers.flatMap(({ stack }) => stack))
    methodsOf.set(String(path), [...(methodsOf.get(String(path)) ?? []), ...methods]);
  return async (ctx, next) => {
    const methods = methodsOf.get(ctx.path) ?? [];
    if (methods.length === 0 || methods.includes(ctx.method)) return next();
    ctx.set('Allow', methods.join(', '));
    if (ctx.method === 'OPTIONS') ctx.body = '';
    else ctx.status = 405;
  };
}

/** The HTTP application: routers behind one place that turns faults into answers. */
import type Router from '@koa/router';
import Koa from 'koa';
import { TiffinError } from '../../domain/errors.ts';
import type { Log } from '../../service/ports.ts';
import { toErrorAnswer } from './errors.ts';

export function httpApp(routers: readonly Router[], log: Log): Koa {
  const app = new Koa();
  // Faults are answered below; what reaches Koa itself is a client that went away in the middle.
  app.silent = true;
  app.use(async (ctx, next) => {
    try {
      await next();
      const allowed = ctx.response.get('Allow');
      // A method that nobody takes is 501 to the router, on paths that are not there as well.
      if ((ctx.status === 404 && ctx.body === undefined) || (ctx.status === 501 && !allowed)) {
        throw new TiffinError('ROUTE_NOT_FOUND', `there is no ${ctx.method} ${ctx.path}`);
      }
      if ((ctx.status === 405 || ctx.status === 501) && !ctx.body) {
        throw new TiffinError(
          'METHOD_NOT_ALLOWED',
          `${ctx.path} does not take ${ctx.method}; it takes ${allowed}`,
        );
      }
    } catch (error) {
      const answer = toErrorAnswer(error);
      if (answer.status === 500)
        log.error({ err: error, method: ctx.method, path: ctx.path }, 'a request failed');
      ctx.status = answer.status;
      ctx.set(answer.headers);
      ctx.body = answer.body;
    }
  });
  for (const router of routers) app.use(router.routes());
  for (const router of routers) app.use(router.allowedMethods());
  return app;
}

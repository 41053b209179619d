/** The operator's view of dead letters: look at them, have them handled again, or give them up. */
import Router from '@koa/router';
import type { Context } from 'koa';
import { z } from 'zod';
import { TiffinError } from '../../domain/errors.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import type { DeadLetter, DeadLetters } from '../../service/ports.ts';
import { parse } from './errors.ts';

const ID = /^[1-9]\d{0,17}$/;
const WHOLE = 'must be a whole number from 1 to 200';

const listQuery = z.object({
  cursor: z.string().regex(ID, 'must be the cursor of a page before').optional(),
  limit: z.coerce.number({ error: WHOLE }).int(WHOLE).min(1, WHOLE).max(200, WHOLE).default(50),
});

export function deadLetterRoutes({ deadLetters }: { deadLetters: DeadLetters }): Router {
  const router = new Router({ prefix: '/admin/dlq' });

  router.get('/', async (ctx) => {
    const { cursor, limit } = parse(listQuery, ctx.query);
    const letters = await deadLetters.list({ limit: limit + 1, ...(cursor ? { after: cursor } : {}) });
    const page = letters.slice(0, limit);
    ctx.body = {
      deadLetters: page.map(present),
      nextCursor: letters.length > limit ? page.at(-1)?.id : null,
    };
  });

  router.get('/:id', async (ctx) => {
    const letter = await deadLetters.find(pathId(ctx));
    if (!letter) throw notFound(ctx);
    ctx.body = present(letter);
  });

  /** The consumer handles it again within seconds, and after it what is parked behind it; a letter that fails again stays. */
  router.post('/:id/replay', async (ctx) => {
    if (!(await deadLetters.requestReplay(pathId(ctx)))) throw notFound(ctx);
    ctx.status = 202;
    ctx.body = { id: ctx.params.id, replay: 'requested' };
  });

  router.delete('/:id', async (ctx) => {
    if (!(await deadLetters.discard(pathId(ctx)))) throw notFound(ctx);
    ctx.status = 204;
  });

  return router;
}

function pathId(ctx: Context): string {
  if (!ID.test(ctx.params.id)) throw notFound(ctx);
  return ctx.params.id;
}

function notFound(ctx: Context): TiffinError {
  return new TiffinError('DEAD_LETTER_NOT_FOUND', `there is no dead letter '${ctx.params.id}'`);
}

function present({ createdAt, ...letter }: DeadLetter) {
  return { ...letter, createdAt: toRfc3339(createdAt) };
}

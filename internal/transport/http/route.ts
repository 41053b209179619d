/** A route as data: who may use it, what it takes, what it answers; and the router made of such routes. */
import Router from '@koa/router';
import type { Context } from 'koa';
import type { z } from 'zod';
import { type Access, type Authenticate, admit } from './auth.ts';
import { readJson } from './body.ts';
import { parse } from './errors.ts';
import type { Principal } from './principal.ts';

/** 'id' | 'item' for '/v1/orders/:id/items/:item'. */
export type ParamOf<Path extends string> = string extends Path
  ? string
  : Path extends `${string}:${infer Name}/${infer Rest}`
    ? Name | ParamOf<`/${Rest}`>
    : Path extends `${string}:${infer Name}`
      ? Name
      : never;

/** What a handler gets, parsed. */
export interface Input<Path extends string = string, Query = unknown, Body = unknown> {
  /** As they stand in the path, decoded. */
  readonly params: Readonly<Record<ParamOf<Path>, string>>;
  readonly query: Query;
  readonly body: Body;
  /** With the roles that count on this route; where anyone may use it, nobody in particular. */
  readonly principal: Principal;
}

export interface Answer {
  readonly description: string;
  /** Of a JSON body; a status from 400 on has the one shape of faults without it. */
  readonly schema?: z.ZodType;
  /** The media type of another body. */
  readonly type?: string;
}

export interface Route<Path extends string = string, Query = unknown, Body = unknown> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** As Koa's router takes it: '/v1/orders/:id'. */
  readonly path: Path;
  readonly access: Access<ParamOf<Path>>;
  /** The heading it stands under in the API's document. */
  readonly tag: string;
  readonly summary: string;
  readonly query?: z.ZodType<Query>;
  readonly body?: z.ZodType<Body>;
  /** A request without a body is given to the schema as undefined. */
  readonly bodyOptional?: true;
  /** Request headers that mean something here. */
  readonly headers?: readonly ('Idempotency-Key' | 'If-Match')[];
  readonly answers: Readonly<Record<number, Answer>>;
  handle(ctx: Context, input: Input<Path, Query, Body>): void | Promise<void>;
}

/** A route whose handler knows the types of what it takes. */
export function route<const Path extends string, Query = undefined, Body = undefined>(
  definition: Route<Path, Query, Body>,
): Route {
  return definition as unknown as Route;
}

/** Where anyone may come in, nobody is asked who they are. */
const NOBODY: Principal = { subject: 'anonymous', roles: [] };

export function routerOf(routes: readonly Route[], authenticate: Authenticate): Router {
  const router = new Router();
  for (const { access, query, body, bodyOptional = false, ...route } of routes) {
    router.register(route.path, [route.method], async (ctx) => {
      const params: Record<string, string> = ctx.params;
      // Before the body is read: a stranger's body is none of ours.
      const principal = access === 'anyone' ? NOBODY : admit(await authenticate(ctx), access, params);
      await route.handle(ctx, {
        params,
        principal,
        query: query && parse(query, ctx.query),
        body: body && parse(body, await readJson(ctx, { optional: bodyOptional })),
      });
    });
  }
  return router;
}

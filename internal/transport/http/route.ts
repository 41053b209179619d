/** A route as data (access, input, responses, handler), and the router built from such routes. */
import Router from '@koa/router';
import type { Context } from 'koa';
import type { z } from 'zod';
import { type Access, type Authenticate, admit } from './auth.ts';
import { readJson } from './body.ts';
import { parse } from './errors.ts';
import type { Principal } from './principal.ts';
import { type LimitRate, unlimited } from './rate-limit.ts';
import { checkHeader, type RequestHeader } from './request-headers.ts';

/** 'id' | 'item' for '/v1/orders/:id/items/:item'. */
export type ParamOf<Path extends string> = string extends Path
  ? string
  : Path extends `${string}:${infer Name}/${infer Rest}`
    ? Name | ParamOf<`/${Rest}`>
    : Path extends `${string}:${infer Name}`
      ? Name
      : never;

/** A handler's parsed input. */
export interface Input<Path extends string = string, Query = unknown, Body = unknown> {
  /** Path parameters, URL-decoded. */
  readonly params: Readonly<Record<ParamOf<Path>, string>>;
  readonly query: Query;
  readonly body: Body;
  /** With only the roles that give access to this route; anonymous on a route open to anyone. */
  readonly principal: Principal;
}

export interface Answer {
  readonly description: string;
  /** Schema of a JSON body; a status of 400 or above has the error body by default. */
  readonly schema?: z.ZodType;
  /** Media type of a body that is not described by a schema. */
  readonly type?: string;
  /** Headers that the answer always has. */
  readonly headers?: readonly ('ETag' | 'Location')[];
}

export interface Route<Path extends string = string, Query = unknown, Body = unknown> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** In Koa's router syntax: '/v1/orders/:id'. */
  readonly path: Path;
  readonly access: Access<ParamOf<Path>>;
  /** The route's heading in the API document. */
  readonly tag: string;
  readonly summary: string;
  /** Path parameters that are not ids; the handler checks them all, for it knows what a malformed one means. */
  readonly params?: { readonly [name in ParamOf<Path>]?: z.ZodType<string> };
  readonly query?: z.ZodType<Query>;
  readonly body?: z.ZodType<Body>;
  /** Reads the body in place of the router. */
  readonly read?: (ctx: Context) => Promise<unknown>;
  /** Allows a request without a body; the schema then parses undefined. */
  readonly bodyOptional?: true;
  /** Request headers that the handler reads; a malformed one is refused before. */
  readonly headers?: readonly RequestHeader[];
  readonly answers: Readonly<Record<number, Answer>>;
  handle(ctx: Context, input: Input<Path, Query, Body>): void | Promise<void>;
}

/** Defines a route, and infers the handler's input types from its schemas. */
export function route<const Path extends string, Query = undefined, Body = undefined>(
  definition: Route<Path, Query, Body>,
): Route {
  return definition as unknown as Route;
}

/** The principal on routes open to anyone, which do not authenticate. */
const ANONYMOUS: Principal = { subject: 'anonymous', roles: [] };

export function routerOf(
  routes: readonly Route[],
  authenticate: Authenticate,
  limit: LimitRate = unlimited,
): Router {
  const router = new Router();
  for (const { access, query, body, bodyOptional = false, headers = [], ...route } of routes) {
    const { read = (ctx) => readJson(ctx, { optional: bodyOptional }) } = route;
    router.register(route.path, [route.method], async (ctx) => {
      const params: Record<string, string> = ctx.params;
      // Authenticate before reading the body: an unauthorized request's body is never read.
      const principal = await principalOf(ctx, access, params);
      const input = {
        params,
        principal,
        query: query && parse(query, ctx.query),
        body: body && parse(body, await read(ctx)),
      };
      for (const name of headers) checkHeader(ctx, name);
      await route.handle(ctx, input);
    });
  }
  return router;

  async function principalOf(
    ctx: Context,
    access: Access,
    params: Readonly<Record<string, string>>,
  ): Promise<Principal> {
    if (access === 'anyone') {
      await limit(ctx);
      return ANONYMOUS;
    }
    let principal: Principal;
    try {
      principal = await authenticate(ctx);
    } catch (error) {
      // So that tokens cannot be guessed at any pace.
      await limit(ctx);
      throw error;
    }
    await limit(ctx, principal);
    return admit(principal, access, params);
  }
}

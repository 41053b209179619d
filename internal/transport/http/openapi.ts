/** Generates the API's OpenAPI 3.1 document from the routes and their schemas. */
import { ORDER_ID } from '../../domain/order.ts';
import type { Access } from './auth.ts';
import { type Json, schemaOf } from './json-schema.ts';
import { responsesOf, sharedResponses } from './openapi-responses.ts';
import { REQUEST_HEADERS, type RequestHeader } from './request-headers.ts';
import type { Route } from './route.ts';

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly tags: readonly { readonly name: string }[];
  /** By path, such as /v1/orders/{id}, then by method in lower case. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>;
  readonly components: {
    readonly schemas: Record<string, Json>;
    readonly responses: Json;
    readonly securitySchemes?: Json;
  };
}

/** `tokens`: whether the server asks for one on the guarded routes. */
export function openApiDocument(routes: readonly Route[], tokens: boolean): OpenApiDocument {
  const schemas: Record<string, Json> = {};
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route, path, tokens, schemas) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tiffin',
      version: '1',
      description: 'Accepts orders for now or a later time and processes each one until it ends.',
    },
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      responses: sharedResponses(schemas),
      schemas,
      ...(tokens ? { securitySchemes: { bearer: BEARER } } : {}),
    },
  };
}

const BEARER = {
  type: 'http',
  scheme: 'bearer',
  bearerFormat: 'JWT',
  description: 'A JWT with the claims sub, exp and roles (customer, restaurant, rider, operator)',
};

function operationOf(route: Route, path: string, tokens: boolean, schemas: Record<string, Json>): Json {
  const { method, tag, summary, access, body, bodyOptional } = route;
  const parameters = parametersOf(route, schemas);
  return {
    operationId: `${method.toLowerCase()} ${path}`.replace(/[^A-Za-z0-9]+(\w?)/g, (_, next) =>
      next.toUpperCase(),
    ),
    tags: [tag],
    summary,
    description: tokens ? describeAccess(access) : 'For anyone: this server asks for no token.',
    // One entry per role, of which any one suffices; OpenAPI 3.1 allows roles in a scheme's list.
    security: access === 'anyone' || !tokens ? [] : access.roles.map((role) => ({ bearer: [role] })),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body
      ? {
          requestBody: {
            required: !bodyOptional,
            content: { 'application/json': { schema: schemaOf(body, schemas) } },
          },
        }
      : {}),
    responses: responsesOf(route, tokens, schemas),
  };
}

function describeAccess(access: Access): string {
  if (access === 'anyone') return 'For anyone.';
  const own = Object.entries(access.self ?? {}).map(
    ([role, parameter]) => ` For a ${role}, {${parameter}} must be the token's subject.`,
  );
  return `For: ${access.roles.join(', ')}.${own.join('')}`;
}

/** An id of an order, restaurant, rider or item. */
const ID = { type: 'string', pattern: ORDER_ID.source };

function parametersOf(route: Route, schemas: Record<string, Json>): Json[] {
  const { path, params = {}, query, headers = [] } = route;
  const { properties = {}, required = [] } = query
    ? (schemaOf(query, schemas) as { properties?: Record<string, Json>; required?: string[] })
    : {};
  return [
    ...[...path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
      name,
      in: 'path',
      required: true,
      schema: params[name] ? schemaOf(params[name], schemas) : ID,
    })),
    ...Object.entries(properties).map(([name, schema]) => ({
      name,
      in: 'query',
      required: required.includes(name),
      schema,
    })),
    ...headers.map(headerOf),
  ];
}

function headerOf(name: RequestHeader): Json {
  const { description, pattern, example } = REQUEST_HEADERS[name];
  return {
    name,
    in: 'header',
    description,
    required: name === 'Tiffin-Signature',
    schema: {
      type: 'string',
      ...(pattern ? { pattern: pattern.source } : {}),
      ...(example ? { examples: [example] } : {}),
    },
  };
}

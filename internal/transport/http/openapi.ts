/** Generates the API's OpenAPI 3.1 document from the routes and their schemas. */
import { z } from 'zod';
import type { Access } from './auth.ts';
import type { Answer, Route } from './route.ts';

type Json = Record<string, unknown>;

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly tags: readonly { readonly name: string }[];
  /** By path, such as /v1/orders/{id}, then by method in lower case. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>;
  readonly components: {
    readonly schemas: Record<string, Json>;
    readonly responses: Json;
    readonly securitySchemes: Json;
  };
}

const faults = z
  .object({
    errors: z.array(
      z.object({
        status: z.string().meta({ description: 'the HTTP status' }),
        code: z.string().meta({ description: 'error code for programs', examples: ['INVALID_TOTAL_PRICE'] }),
        detail: z.string().meta({ description: 'explanation for people' }),
        pointer: z.string().optional().meta({ description: 'JSON pointer to the invalid value, RFC 6901' }),
      }),
    ),
  })
  .meta({ id: 'Faults' });

const HEADERS = {
  'Idempotency-Key': {
    description: 'Makes the request safe to retry: the same key and body get the same response',
    schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' },
  },
  'If-Match': {
    description: 'The ETag of the version to change; another version is refused with 412',
    schema: { type: 'string', examples: ['"3"'] },
  },
  'If-None-Match': {
    description: 'The ETag that the client has; if it is the current one, the answer is 304 without a body',
    schema: { type: 'string', examples: ['"3"'] },
  },
};

export function openApiDocument(routes: readonly Route[]): OpenApiDocument {
  const schemas: Record<string, Json> = {};
  const paths: Record<string, Record<string, Json>> = {};
  const faultContent = { 'application/json': { schema: schemaOf(faults, schemas) } };
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route, path, schemas) };
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
      schemas,
      responses: {
        Fault: { description: 'The request failed; the body lists every error', content: faultContent },
      },
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'A JWT with the claims sub, exp and roles (customer, restaurant, rider, operator)',
        },
      },
    },
  };
}

function operationOf(route: Route, path: string, schemas: Record<string, Json>): Json {
  const { method, tag, summary, access, body, bodyOptional } = route;
  const parameters = parametersOf(route, schemas);
  return {
    operationId: `${method.toLowerCase()} ${path}`.replace(/[^A-Za-z0-9]+(\w?)/g, (_, next) =>
      next.toUpperCase(),
    ),
    tags: [tag],
    summary,
    description: describeAccess(access),
    // One entry per role, of which any one suffices; OpenAPI 3.1 allows roles in a scheme's list.
    security: access === 'anyone' ? [] : access.roles.map((role) => ({ bearer: [role] })),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body
      ? {
          requestBody: {
            required: !bodyOptional,
            content: { 'application/json': { schema: schemaOf(body, schemas) } },
          },
        }
      : {}),
    responses: responsesOf(route, schemas),
  };
}

function describeAccess(access: Access): string {
  if (access === 'anyone') return 'For anyone.';
  const own = Object.entries(access.self ?? {}).map(
    ([role, parameter]) => ` For a ${role}, {${parameter}} must be the token's subject.`,
  );
  return `For: ${access.roles.join(', ')}.${own.join('')}`;
}

function parametersOf({ path, query, headers = [] }: Route, schemas: Record<string, Json>): Json[] {
  const { properties = {}, required = [] } = query
    ? (schemaOf(query, schemas) as { properties?: Record<string, Json>; required?: string[] })
    : {};
  return [
    ...[...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...Object.entries(properties).map(([name, schema]) => ({
      name,
      in: 'query',
      required: required.includes(name),
      schema,
    })),
    ...headers.map((name) => ({ name, in: 'header', ...HEADERS[name] })),
  ];
}

function responsesOf({ access, query, body, answers }: Route, schemas: Record<string, Json>): Json {
  const fault = { $ref: '#/components/responses/Fault' };
  return {
    ...Object.fromEntries(
      Object.entries(answers).map(([status, answer]) => [status, responseOf(status, answer, schemas)]),
    ),
    ...((query || body) && !answers[400] ? { 400: fault } : {}),
    ...(access === 'anyone' ? {} : { 401: fault, 403: fault }),
    ...(body && !answers[415] ? { 413: fault, 415: fault } : {}),
    default: fault,
  };
}

function responseOf(
  status: string,
  { description, schema, type }: Answer,
  schemas: Record<string, Json>,
): Json {
  if (type) return { description, content: { [type]: {} } };
  const shape = schema ?? (Number(status) >= 400 ? faults : undefined);
  return shape
    ? { description, content: { 'application/json': { schema: schemaOf(shape, schemas) } } }
    : { description };
}

/** The JSON schema of a type's input, before transformations, as clients see it. Adds named schemas to `schemas`. */
function schemaOf(schema: z.ZodType, schemas: Record<string, Json>): Json {
  const { $schema, $defs, ...own } = jsonSchemaOf(schema);
  for (const [name, definition] of Object.entries($defs ?? {})) schemas[name] ??= inComponents(definition);
  return inComponents(own);
}

export function jsonSchemaOf(schema: z.ZodType) {
  return z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      // zod adds these bounds to every integer; they are no information.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      // `format` says the same as the pattern, which has a thousand characters.
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
    },
  });
}

function inComponents(schema: unknown): Json {
  return JSON.parse(
    JSON.stringify(schema, (key, value) =>
      key === '$ref' ? String(value).replace('#/$defs/', '#/components/schemas/') : value,
    ),
  );
}

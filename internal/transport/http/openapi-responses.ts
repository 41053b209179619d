/** The responses of a route in the OpenAPI document: its own, and those that follow from what it takes. */
import { z } from 'zod';
import { type Json, schemaOf } from './json-schema.ts';
import { REQUEST_HEADERS } from './request-headers.ts';
import type { Answer, Route } from './route.ts';

const faults = z
  .object({
    errors: z
      .array(
        z.object({
          status: z.string().meta({ description: 'the HTTP status' }),
          code: z
            .string()
            .meta({ description: 'error code for programs', examples: ['INVALID_TOTAL_PRICE'] }),
          detail: z.string().meta({ description: 'explanation for people' }),
          pointer: z.string().optional().meta({ description: 'JSON pointer to the invalid value, RFC 6901' }),
        }),
      )
      .min(1),
  })
  .meta({ id: 'Faults' });

const HEADERS: Record<string, Json> = {
  ETag: {
    description: 'Names the state that is shown, for If-Match and If-None-Match',
    required: true,
    schema: { type: 'string', pattern: '^"[A-Za-z0-9_.-]+"$' },
  },
  Location: {
    description: 'The path of the order',
    required: true,
    schema: { type: 'string', format: 'uri-reference' },
  },
  'Idempotency-Replayed': {
    description: 'This is the answer to an earlier request',
    schema: { type: 'string', const: 'true' },
  },
  'Retry-After': {
    description: 'After how many seconds to try again',
    schema: { type: 'integer', minimum: 1 },
  },
  'WWW-Authenticate': {
    description: 'A bearer token is required, or is not valid',
    required: true,
    schema: { type: 'string', pattern: '^Bearer' },
  },
};

function headersOf(names: readonly string[]): Json {
  return names.length > 0 ? { headers: Object.fromEntries(names.map((name) => [name, HEADERS[name]])) } : {};
}

/** The answers that several routes have, by the names under which the document keeps them. */
const SHARED = {
  BadRequest: [400, 'The request is malformed; the body lists every fault'],
  Unauthorized: [401, 'A token is missing, or is not valid'],
  Forbidden: [403, 'The request is not for this principal, or a page of another site sent it'],
  KeyInUse: [409, 'A request with this idempotency key is in progress'],
  Changed: [412, 'The order has changed since the version of If-Match'],
  TooLarge: [413, 'The body is larger than 64 KiB'],
  WrongType: [415, 'The body is not JSON in UTF-8'],
  KeyReused: [422, 'The idempotency key was used for another request'],
  TooMany: [429, 'Too many requests, where the server limits them'],
  Fault: [500, 'An internal error, which the server has logged'],
  Unavailable: [503, 'The server cannot do it now'],
} as const;

const SHARED_HEADERS: Record<number, readonly string[]> = {
  401: ['WWW-Authenticate'],
  409: ['Retry-After'],
  429: ['Retry-After'],
  503: ['Retry-After'],
};

export function sharedResponses(schemas: Record<string, Json>): Json {
  return Object.fromEntries(
    Object.entries(SHARED).map(([name, [status, description]]) => [
      name,
      { description, ...headersOf(SHARED_HEADERS[status] ?? []), content: jsonOf(faults, schemas) },
    ]),
  );
}

/** Every status that the route can answer with. */
export function responsesOf(route: Route, tokens: boolean, schemas: Record<string, Json>): Json {
  const { access, query, body, headers = [], answers } = route;
  const isGuarded = access !== 'anyone';
  const hasKey = headers.includes('Idempotency-Key');
  const isChecked = headers.some((name) => REQUEST_HEADERS[name].pattern);
  const shared: (keyof typeof SHARED)[] = [
    ...(query || body || isChecked ? (['BadRequest'] as const) : []),
    ...(isGuarded && tokens ? (['Unauthorized'] as const) : []),
    ...(isGuarded ? (['Forbidden'] as const) : []),
    ...(hasKey ? (['KeyInUse', 'KeyReused'] as const) : []),
    ...(headers.includes('If-Match') ? (['Changed'] as const) : []),
    ...(body ? (['TooLarge', 'WrongType'] as const) : []),
    ...(route.tag === 'Operations' ? [] : (['TooMany'] as const)),
    'Fault',
    ...(isGuarded || body ? (['Unavailable'] as const) : []),
  ];
  return {
    ...Object.fromEntries(
      shared.map((name) => [SHARED[name][0], { $ref: `#/components/responses/${name}` }]),
    ),
    ...Object.fromEntries(
      Object.entries(answers).map(([status, answer]) => [
        status,
        responseOf(Number(status), answer, hasKey ? ['Idempotency-Replayed'] : [], schemas),
      ]),
    ),
  };
}

function responseOf(
  status: number,
  { description, schema, type, headers = [] }: Answer,
  onSuccess: readonly string[],
  schemas: Record<string, Json>,
): Json {
  if (type) return { description, content: { [type]: {} } };
  if (status >= 400 && !schema)
    return {
      description,
      // A wrong signature is not about a token, so its 401 has no challenge.
      ...headersOf(status === 401 ? [] : (SHARED_HEADERS[status] ?? [])),
      content: jsonOf(faults, schemas),
    };
  const named = headersOf(status < 300 ? [...headers, ...onSuccess] : headers);
  return schema ? { description, ...named, content: jsonOf(schema, schemas) } : { description, ...named };
}

function jsonOf(schema: z.ZodType, schemas: Record<string, Json>): Json {
  return { 'application/json': { schema: schemaOf(schema, schemas) } };
}

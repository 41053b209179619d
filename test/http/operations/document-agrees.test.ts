/** The OpenAPI document is exactly as strict as the server: an independent validator accepts what the server accepts. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import type { Route } from '../../../internal/transport/http/route.ts';
import { startEveryService } from '../every-service.ts';
import { STRINGS, valuesOf, variantsOf } from './values.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary parts of the document
type Any = any;

const ajv = new Ajv2020({ strict: false, formats: { 'date-time': isRfc3339 } });
// ajv divides doubles, so 19.99 would be no multiple of 0.01; the only step in the document is a hundredth.
ajv.removeKeyword('multipleOf');
ajv.addKeyword({ keyword: 'multipleOf', validate: (_: unknown, value: unknown) => isInCents(value) });
let started: Awaited<ReturnType<typeof startEveryService>>;
let document: Any;
let routes: Route[];
before(async () => {
  started = await startEveryService({ AUTH: 'off', PAYMENT_WEBHOOK_SECRET: 's'.repeat(40) });
  document = await (await fetch(`${started.url}/openapi.json`)).json();
  routes = started.services.flatMap(({ routes = [] }) => routes);
});
after(() => started?.close());

const operationOf = ({ method, path }: Route) =>
  document.paths[path.replace(/:(\w+)/g, '{$1}')][method.toLowerCase()];

test('a validator accepts exactly the bodies that the server accepts', () => {
  const bodies = routes.flatMap((route) => (route.body ? [{ route, body: route.body }] : []));
  assert.ok(bodies.length >= 14, `there are ${bodies.length} routes with a body`);
  for (const { route, body } of bodies) {
    const { schema } = operationOf(route).requestBody.content['application/json'];
    const validate = ajv.compile(schema);
    const seen = { accepted: 0, refused: 0 };
    const agrees = fc.property(valuesOf(schema), (value) => {
      const isAccepted = body.safeParse(value).success;
      seen[isAccepted ? 'accepted' : 'refused']++;
      assert.equal(isValid(validate, value), isAccepted, `${route.method} ${route.path}`);
    });
    fc.assert(agrees, { numRuns: 2_000 });
    assert.ok(seen.accepted > 10 && seen.refused > 10, `${route.path}: ${JSON.stringify(seen)}`);
  }
});

test('a validator and the server agree on each property of each body with every odd value', () => {
  for (const route of routes.filter(({ body }) => body)) {
    const { schema } = operationOf(route).requestBody.content['application/json'];
    const validate = ajv.compile(schema);
    const bodies = fc
      .sample(valuesOf(schema), 2_000)
      .filter((value) => isValid(validate, value) && JSON.stringify(value).length < 2_000);
    // Of two forms of a body each has its own properties.
    const forms = new Set(bodies.map(formOf));
    const fullest = [...forms].map((form) => fullestOf(bodies.filter((body) => formOf(body) === form)));
    for (const full of fullest)
      for (const value of variantsOf(full))
        assert.equal(
          route.body!.safeParse(value).success,
          isValid(validate, value),
          `${route.path} ${JSON.stringify(value)}`,
        );
  }
});

test('a validator accepts exactly the parameters of a query that the server accepts', () => {
  let compared = 0;
  for (const route of routes) {
    const inQuery = operationOf(route).parameters?.filter((one: Any) => one.in === 'query') ?? [];
    for (const { name, schema, required } of inQuery) {
      const validate = ajv.compile(schema);
      // Another parameter may be missing.
      const isRefused = (query: object) =>
        route.query!.safeParse(query).error?.issues.some(({ path }) => path[0] === name) ?? false;
      for (const text of [...STRINGS, ...(schema.enum ?? [])]) {
        const value = schema.type === 'integer' && /^(0|-?[1-9]\d*)$/.test(text) ? Number(text) : text;
        const isTaken = !isRefused({ [name]: text });
        assert.equal(isValid(validate, value), isTaken, `${route.path} ${name}=${JSON.stringify(text)}`);
        compared++;
      }
      assert.equal(isRefused({}), required === true, `${route.path} without ${name}`);
    }
  }
  assert.ok(compared > 500, `${compared} were compared`);
});

test('an id in a path that the document does not allow is refused by every route', async () => {
  const withIds = routes.filter(({ path }) => path.includes(':'));
  assert.ok(withIds.length > 15, `there are ${withIds.length} routes with an id`);
  for (const route of withIds) {
    const ids = operationOf(route).parameters.filter((one: Any) => one.in === 'path');
    for (const bad of ['.a', 'a b', '\u0000', 'é', '%', 'x'.repeat(65)]) {
      // An id of another system has a form of its own.
      if (ids.every(({ schema }: Any) => schema.pattern && new RegExp(schema.pattern, 'u').test(bad)))
        continue;
      const path = route.path.replace(/:\w+/g, encodeURIComponent(bad));
      const { status } = await fetch(started.url + path, { method: route.method });
      // A missing body may be refused before the id is looked at.
      assert.ok([404, 400].includes(status) || (route.body && status === 415), `${path}: ${status}`);
    }
  }
  assert.deepEqual(started.log.at('error'), []);
});

test('a malformed header is refused by every route that has it in the document', async () => {
  const malformed: Record<string, string> = { 'Idempotency-Key': 'a b', 'If-Match': '3' };
  let refused = 0;
  for (const route of routes) {
    for (const { name, in: place, schema } of operationOf(route).parameters ?? []) {
      if (place !== 'header' || !schema.pattern) continue;
      assert.doesNotMatch(malformed[name]!, new RegExp(schema.pattern));
      const body = accepted(operationOf(route).requestBody);
      const { status } = await fetch(started.url + route.path.replace(/:\w+/g, 'x-1'), {
        method: route.method,
        headers: { [name]: malformed[name]!, ...(body ? { 'content-type': 'application/json' } : {}) },
        ...(body ? { body } : {}),
      });
      assert.equal(status, 400, `${route.method} ${route.path} ${name}`);
      refused++;
    }
  }
  assert.ok(refused >= 8, `${refused} were refused`);
});

test('the patterns in the document are read alike by every dialect of regular expressions', () => {
  const patterns = [...JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)];
  assert.ok(patterns.length > 50, `there are ${patterns.length} patterns`);
  for (const [, pattern = ''] of patterns) assert.doesNotMatch(JSON.parse(pattern), /\\[dDsSwWpP]/);
});

test('without tokens the document declares none, and no operation answers 401', () => {
  assert.equal(document.components.securitySchemes, undefined);
  const operations = Object.values<Any>(document.paths).flatMap((methods) => Object.values<Any>(methods));
  for (const { operationId, security, responses } of operations) {
    assert.deepEqual(security, [], operationId);
    // The webhook of payments is signed.
    assert.equal(401 in responses, operationId === 'postWebhooksPayments', operationId);
  }
});

/** Bodies of several forms differ in whether they have items, or in this word. */
function formOf(body: Any): string {
  return `${body?.action} ${body?.status} ${Boolean(body?.items)}`;
}

/** The one with the most properties; of a list those of the first count. */
function fullestOf(values: readonly unknown[]): unknown {
  const size = (value: unknown): number => {
    if (typeof value !== 'object' || value === null) return 1;
    const parts = Array.isArray(value) ? value.slice(0, 1) : Object.values(value);
    return parts.reduce<number>((sum, part) => sum + size(part), 1);
  };
  return values.reduce((fullest, value) => (size(value) > size(fullest) ? value : fullest));
}

/** A body that the document allows. */
function accepted(requestBody: Any): string | undefined {
  if (!requestBody) return undefined;
  const { schema } = requestBody.content['application/json'];
  const validate = ajv.compile(schema);
  return JSON.stringify(fc.sample(valuesOf(schema), 500).find((value) => isValid(validate, value)));
}

function isValid(validate: ValidateFunction, value: unknown): boolean {
  return validate(value) as boolean;
}

/** By the digits of the decimal that stands for the double. */
function isInCents(value: unknown): boolean {
  return typeof value !== 'number' || /^-?\d+(\.\d{1,2})?$/.test(String(value));
}

/** RFC 3339, section 5.6, with an upper limit of the days of a month and leap seconds at the end of a day in UTC. */
function isRfc3339(text: string): boolean {
  const match = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))$/.exec(
    text,
  );
  if (!match) return false;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [number, ...number[]];
  const [ahead, minutesAhead] = [Number(match[8] ?? 0), Number(match[9] ?? 0)];
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  if (!(day! >= 1 && day! <= (days[month! - 1] ?? 0) && hour! <= 23 && minute! <= 59)) return false;
  if (ahead > 23 || minutesAhead > 59) return false;
  const inUtc = hour! * 60 + minute! - (match[7] === '-' ? -1 : 1) * (ahead * 60 + minutesAhead);
  return second! <= 59 || (second === 60 && (inUtc + 1_440) % 1_440 === 1_439);
}

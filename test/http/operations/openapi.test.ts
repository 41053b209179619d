/** The OpenAPI document: it describes every route, its references resolve, and a page shows it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { openApiDocument } from '../../../internal/transport/http/openapi.ts';
import { route } from '../../../internal/transport/http/route.ts';
import { type Api, speak, startApi } from '../api.ts';

let api: Api;
// biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary response bodies
let document: any;
before(async () => {
  api = await startApi();
  document = (await api.ask('GET', '/openapi.json')).body;
});
after(() => api.close());

/** Every value in the document, with its path. */
function* walk(value: unknown, at: string[] = []): Generator<[at: string[], value: unknown]> {
  yield [at, value];
  if (typeof value === 'object' && value !== null)
    for (const [name, inner] of Object.entries(value)) yield* walk(inner, [...at, name]);
}

test('the document is OpenAPI 3.1 and JSON', async () => {
  const answer = await api.ask('GET', '/openapi.json');
  assert.match(answer.headers['content-type'] ?? '', /^application\/json/);
  assert.match(document.openapi, /^3\.1\./);
  assert.ok(document.info.title && document.info.version);
});

test('the document has exactly the routes of the API, its own included', () => {
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const there = api.routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`);
  const own = ['GET /openapi.json', 'GET /docs', 'GET /docs/{file}'];
  assert.deepEqual(documented.sort(), [...there, ...own].sort());
});

test('every reference in the document resolves', () => {
  const references = [...walk(document)].filter(([at]) => at.at(-1) === '$ref');
  assert.ok(references.length > 10, 'there are references');
  for (const [at, reference] of references) {
    assert.match(String(reference), /^#\//, at.join('/'));
    const steps = String(reference).slice(2).split('/');
    const found = steps.reduce((inner, step) => inner?.[step], document);
    assert.equal(typeof found, 'object', `${reference} of ${at.join('/')}`);
  }
});

test('no schema has a keyword that is meaningless inside the document', () => {
  for (const [at] of walk(document)) assert.ok(!['$schema', '$defs', '~standard'].includes(at.at(-1) ?? ''));
});

test('every operation has a unique name, a tag, a summary, a response and its security', () => {
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods as object));
  const names = operations.map(({ operationId }) => operationId);
  assert.equal(new Set(names).size, names.length);
  const tags = new Set(document.tags.map(({ name }: { name: string }) => name));
  for (const operation of operations) {
    assert.match(operation.operationId, /^[a-z][A-Za-z0-9]+$/);
    assert.ok(tags.has(operation.tags[0]) && operation.summary, operation.operationId);
    assert.ok(Object.keys(operation.responses).some((status) => /^2\d\d$/.test(status)));
    assert.ok(Object.keys(operation.responses).every((status) => /^\d{3}$/.test(status)));
    for (const response of Object.values<{ description?: string; $ref?: string }>(operation.responses))
      assert.ok(response.description ?? response.$ref);
    assert.ok(Array.isArray(operation.security));
  }
});

test('every operation declares exactly the parameters of its path', () => {
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const { parameters = [] } of Object.values(methods as Record<string, { parameters?: unknown[] }>)) {
      const declared = (parameters as { name: string; in: string; required?: boolean; schema?: object }[])
        .filter((parameter) => parameter.in === 'path')
        .map((parameter) => [parameter.name, parameter.required]);
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, true]);
      assert.deepEqual(declared, named, path);
    }
  }
});

test('a probe has no security, and a guarded route requires a bearer token with one of its roles', () => {
  assert.deepEqual(document.paths['/livez'].get.security, []);
  const { security, responses, description } = document.paths['/orders'].post;
  assert.deepEqual(security, [{ bearer: ['customer'] }, { bearer: ['operator'] }]);
  assert.equal(description, 'For: customer, operator.');
  assert.ok(responses[401] && responses[403]);
  assert.equal(document.components.securitySchemes.bearer.scheme, 'bearer');
});

test('the document describes the two accepted bodies of an order', () => {
  const { requestBody, responses, parameters } = document.paths['/orders'].post;
  const [schema, byItems] = requestBody.content['application/json'].schema.anyOf;
  assert.ok(byItems.required.includes('items'));
  assert.equal(requestBody.required, true);
  assert.deepEqual(schema.required.sort(), ['customer_name', 'total_price']);
  assert.deepEqual(
    schema.properties.total_price.anyOf.map(({ type }: { type: string }) => type),
    ['number', 'string'],
  );
  const { minLength, maxLength } = schema.properties.customer_name;
  assert.deepEqual([minLength, maxLength], [1, 256]);
  assert.match(JSON.stringify(schema.properties.scheduled_time), /date-time/);
  assert.deepEqual(
    parameters.map(({ name }: { name: string }) => name),
    ['Idempotency-Key'],
  );
  assert.deepEqual(responses[201].content['application/json'].schema.anyOf, [
    { $ref: '#/components/schemas/ScheduledOrder' },
    { $ref: '#/components/schemas/ItemsOrder' },
  ]);
  assert.deepEqual(responses[409].content['application/json'].schema, {
    $ref: '#/components/schemas/Faults',
  });
});

test('the document describes a query by its parameters', () => {
  const { parameters } = document.paths['/v1/orders'].get;
  const limit = parameters.find(({ name }: { name: string }) => name === 'limit');
  assert.deepEqual(limit, {
    name: 'limit',
    in: 'query',
    required: false,
    schema: { description: '50 if it is absent', type: 'integer', minimum: 1, maximum: 200 },
  });
  assert.equal(document.paths['/orders'].get.parameters[0].required, true);
  assert.equal(document.paths['/v1/orders/{id}/cancel'].post.requestBody.required, false);
});

test('the responses for an order and for faults match the document', async () => {
  const placed = await api.order({
    customer_name: 'Asha',
    total_price: 5,
    scheduled_time: '2030-01-02T00:00:00Z',
  });
  const { properties, required } = document.components.schemas.ScheduledOrder;
  assert.deepEqual(
    Object.keys(placed.body).filter((name) => !(name in properties)),
    [],
  );
  for (const name of required) assert.ok(name in placed.body, name);
  const fault = await api.order({ total_price: -1 });
  const described = document.components.schemas.Faults.properties.errors.items;
  for (const error of fault.body.errors) {
    for (const name of Object.keys(error)) assert.ok(name in described.properties, name);
    for (const name of described.required) assert.ok(name in error, name);
  }
});

test('the description of an operation states that a path parameter must be the subject of the token', () => {
  const { paths } = openApiDocument(
    [
      route({
        method: 'GET',
        path: '/kitchens/:rid/tickets/:tid',
        access: { roles: ['restaurant', 'operator'], self: { restaurant: 'rid' } },
        tag: 'Test',
        summary: 'A ticket',
        query: z.object({ when: z.iso.datetime({ offset: true }).optional() }),
        answers: { 200: { description: 'It', type: 'text/event-stream' } },
        handle() {},
      }),
    ],
    true,
  );
  // biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary response bodies
  const operation = paths['/kitchens/{rid}/tickets/{tid}']?.get as any;
  assert.equal(
    operation.description,
    "For: restaurant, operator. For a restaurant, {rid} must be the token's subject.",
  );
  assert.deepEqual(operation.parameters[2], {
    name: 'when',
    in: 'query',
    required: false,
    schema: { type: 'string', format: 'date-time' },
  });
  assert.deepEqual(operation.responses[200], { description: 'It', content: { 'text/event-stream': {} } });
});

test('the documentation page and its assets are served', async () => {
  const page = await api.ask('GET', '/docs');
  assert.deepEqual([page.status, page.headers['content-type']], [200, 'text/html; charset=utf-8']);
  assert.match(String(page.headers['content-security-policy']), /^default-src 'self'/);
  assert.doesNotMatch(page.text, /https?:\/\//, 'the page loads no external resource');
  const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, part]) => part as string);
  assert.equal(parts.length, 4);
  for (const part of parts) {
    const { status, text, headers } = await api.ask('GET', part);
    assert.ok(status === 200 && text.length > 50, part);
    assert.match(String(headers['content-type']), /^(text\/(css|javascript)|image\/png)/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
  }
  assert.match((await api.ask('GET', '/docs/start.js')).text, /\/openapi\.json/);
});

test('no other file is served, inside or outside the package', async () => {
  for (const path of [
    '/docs/package.json',
    '/docs/index.html',
    '/docs/../package.json',
    '/docs/..%2fpackage.json',
    '/docs/..%5cpackage.json',
    '/docs/%2e%2e/package.json',
    '/docs/%2e%2e%2fpackage.json',
    '/docs/....//package.json',
    '/docs/swagger-ui.css%00.png',
    '/docs//etc/passwd',
    '/docs/__proto__',
    '/docs/constructor',
  ]) {
    const heard = await speak(api.port, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    assert.match(heard, /^HTTP\/1\.1 404 /, path);
    assert.match(heard, /ROUTE_NOT_FOUND/, path);
  }
});

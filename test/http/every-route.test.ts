/** Every route of every service, wired as in the program: each guarded route requires a token with one of its roles. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { allConsumers } from '../../cmd/event-docs/catalogue.ts';
import type { Service } from '../../cmd/wire.ts';
import { TOPICS } from '../../internal/domain/topics.ts';
import { startServices } from './services.ts';
import { bearer, SECRET } from './tokens.ts';

let started: Awaited<ReturnType<typeof startServices>>;
let services: Service[];
before(async () => {
  started = await startServices({ AUTH_JWT_SECRET: SECRET });
  services = started.services;
});
after(() => started?.stop());

const routes = () => services.flatMap(({ routes = [] }) => routes);
const ask = (method: string, route: string, headers: Record<string, string> = {}) =>
  fetch(started.url + route.replace(/:\w+/g, 'x-1'), { method, headers });

test('every guarded route answers 401 without a token', async () => {
  const guarded = routes().filter(({ access }) => access !== 'anyone');
  assert.ok(guarded.length > 10, 'there are routes');
  for (const { method, path } of guarded) {
    const answer = await ask(method, path);
    assert.deepEqual([answer.status, answer.headers.get('www-authenticate')], [401, 'Bearer'], path);
    const { errors } = (await answer.json()) as { errors: { code: string }[] };
    assert.equal(errors[0]?.code, 'UNAUTHORIZED');
  }
});

test('every guarded route answers 403 to a token without one of its roles', async () => {
  const nobody = await bearer('x-1', 'passer-by');
  for (const { method, path, access } of routes())
    if (access !== 'anyone') assert.equal((await ask(method, path, nobody)).status, 403, path);
});

test('every guarded route accepts operators', () => {
  for (const { method, path, access } of routes())
    if (access !== 'anyone') assert.ok(access.roles.includes('operator'), `${method} ${path}`);
});

test('every self rule of a route names one of its roles and a parameter of its path', () => {
  for (const { path, access } of routes()) {
    if (access === 'anyone') continue;
    for (const [role, parameter] of Object.entries(access.self ?? {})) {
      assert.ok((access.roles as string[]).includes(role), `${path} is not for ${role}`);
      assert.ok(path.includes(`:${parameter}`), `${path} has no ${parameter}`);
    }
  }
});

test('no two services have a route with the same method and path', () => {
  const all = routes().map(({ method, path }) => `${method} ${path.replace(/:\w+/g, ':')}`);
  assert.deepEqual(
    all.filter((name, index) => all.indexOf(name) !== index),
    [],
  );
});

test('the OpenAPI document of the process has every route of its services', async () => {
  const document = (await (await ask('GET', '/openapi.json')).json()) as { paths: Record<string, object> };
  for (const { method, path } of routes()) {
    const operation = document.paths[path.replace(/:(\w+)/g, '{$1}')];
    assert.ok(operation && method.toLowerCase() in operation, `${method} ${path}`);
  }
});

test('every consumer belongs to the service that its name begins with, and subscribes to a topic for each of its types', async () => {
  const listed = services.flatMap(({ name, consumers = [] }) => consumers.map((one) => [name, one] as const));
  for (const [service, { name }] of listed) assert.ok(name.startsWith(service), `${name} in ${service}`);
  const all = await allConsumers();
  assert.deepEqual(listed.map(([, { name }]) => name).sort(), all.map(({ name }) => name).sort());
  for (const { name, topics, types } of all)
    for (const type of types)
      assert.ok(
        TOPICS[type as keyof typeof TOPICS].some((topic) => topics.includes(topic)),
        `${name} reads ${type} from none of its topics`,
      );
});

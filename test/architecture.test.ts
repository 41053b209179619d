/** The architecture rules: directions of imports, purity of the domain, lengths and names of files. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const ROOT = path.resolve(import.meta.dirname, '..');
const LONGEST = 250;
const LONGEST_MEDIAN = 90;
/** The capabilities: each has a folder of this name in every layer, and may import only those before it. */
const CAPABILITIES = [
  'stream',
  'scheduling',
  'inventory',
  'orders',
  'payments',
  'restaurants',
  'delivery',
  'notifications',
  'views',
  'maintenance',
];
const SERVICE = 'internal/service/';
const POSTGRES = 'internal/repository/postgres/';
const ROUTES = 'internal/transport/http/routes/';
/** The files of internal/service that other capabilities may import, besides each ports.ts. */
const SHARED = ['stream/consumer.ts', 'stream/external-records.ts', 'scheduling/set-timers.ts'];
/** The packages that use cases may import. */
const SERVICE_PACKAGES = ['p-map'];
/** Names of files and folders that do not describe their content. */
const EMPTY_NAMES = /^(utils?|helpers?|common|types?|shared)$/;
/** Code that depends on the time or the machine, or is not synchronous; the domain may not contain it. */
const IMPURE =
  /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\basync\b|\bawait\b|\bprocess\.|\bperformance\.|\bset(?:Timeout|Interval|Immediate)\b|['"]node:/g;
/** The machine's clock, which decides nothing: `deps.clock` is the servers' clock. */
const OWN_CLOCK = /\bDate\.now\b|\bnew Date\(\)/g;
const COMPARES_CLOCKS = 'internal/repository/redis/server-clock.ts';
const IMPORT =
  /\bimport\s*\(\s*['"]([^'"]+)['"]|\b(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*['"]([^'"]+)['"]/g;

/** The violations of the rules in a file; `file` is its path from the root, with forward slashes. */
function violations(file: string, source: string): string[] {
  const lines = source.replace(/\n$/, '').split('\n').length;
  return [
    ...(lines > LONGEST ? [`${file} has ${lines} lines; ${LONGEST} are allowed`] : []),
    ...emptyNames(file),
    ...(file.endsWith('.test.ts') || file.startsWith('test/')
      ? []
      : [...wrongImports(file, source), ...impurities(file, source)]),
  ];
}

function emptyNames(file: string): string[] {
  return file
    .split('/')
    .filter((step) => EMPTY_NAMES.test(step.replace(/(\.test)?\.\w+$/, '')))
    .map((step) => `${file} is named '${step}', which does not describe its content`);
}

function wrongImports(file: string, source: string): string[] {
  const from = areaOf(file);
  return importsOf(source)
    .map((specifier) => ({ specifier, to: targetOf(file, specifier) }))
    .filter(({ specifier, to }) => !mayImport(file, from, to, specifier) || breaksBoundary(file, specifier))
    .map(({ specifier }) => `${file} may not import '${specifier}'`);
}

function impurities(file: string, source: string): string[] {
  if (/^internal\/(service|repository)\//.test(file) && file !== COMPARES_CLOCKS)
    return [...withoutComments(source).matchAll(OWN_CLOCK)].map(
      ([found]) => `${file} may not use '${found}': the servers' clock decides`,
    );
  if (!file.startsWith('internal/domain/')) return [];
  return [...withoutComments(source).matchAll(IMPURE)].map(
    ([found]) => `${file} is domain code and may not use '${found}'`,
  );
}

function importsOf(source: string): string[] {
  return [...withoutComments(source).matchAll(IMPORT)].map(
    ([, dynamic, named, bare]) => (dynamic ?? named ?? bare) as string,
  );
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
}

/** Files may import each other within an area: 'internal/domain', 'internal/transport/http', 'cmd'. */
function areaOf(file: string): string {
  const steps = file.split('/');
  if (steps[0] !== 'internal') return steps[0] as string;
  const depth = steps[1] === 'repository' || steps[1] === 'transport' ? 3 : 2;
  return steps.slice(0, Math.min(depth, steps.length - 1)).join('/');
}

/** The area of an import's target; 'node' for a built-in module, 'package' for an npm package. */
function targetOf(file: string, specifier: string): string {
  if (specifier.startsWith('node:')) return 'node';
  if (!specifier.startsWith('.')) return 'package';
  return areaOf(resolved(file, specifier));
}

function mayImport(file: string, from: string, to: string, specifier: string): boolean {
  if (from === to) return true;
  switch (from) {
    case 'internal/domain':
      return to === 'package' && file === 'internal/domain/events.ts';
    case 'internal/service':
      return to === 'internal/domain' || to === 'node' || SERVICE_PACKAGES.includes(specifier);
    case 'cmd':
      return to !== 'test' && to !== 'bench';
    default:
      return ['internal/domain', 'internal/service', 'node', 'package'].includes(to);
  }
}

/** Whether an import leads to a later capability, to another's internals, or from framework to routes. */
function breaksBoundary(file: string, specifier: string): boolean {
  if (!specifier.startsWith('.')) return false;
  const target = resolved(file, specifier);
  if (file.startsWith(SERVICE) && target.startsWith(SERVICE)) {
    const [from, to] = [capabilityOf(file, SERVICE), capabilityOf(target, SERVICE)];
    if (to === from || to === undefined) return false;
    if (from === undefined) return true;
    const isPublic = target.endsWith('/ports.ts') || SHARED.includes(target.slice(SERVICE.length));
    return !isPublic || CAPABILITIES.indexOf(to) > CAPABILITIES.indexOf(from);
  }
  return target.startsWith(ROUTES) && file.startsWith('internal/transport/http/') && !file.startsWith(ROUTES);
}

/** The capability whose folder contains the file; undefined for a file at the root of its layer. */
function capabilityOf(file: string, base: string): string | undefined {
  const [folder, ...rest] = file.slice(base.length).split('/');
  return rest.length > 0 ? folder : undefined;
}

function resolved(file: string, specifier: string): string {
  return path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier));
}

/** Import cycles, found by following the imports of each file until a file repeats. */
function cycles(sources: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) {
      found.push([...trail.slice(trail.indexOf(file)), file].join(' → '));
      return;
    }
    if (done.has(file)) return;
    const relative = importsOf(sources.get(file) ?? '').filter((specifier) => specifier.startsWith('.'));
    for (const specifier of relative) visit(resolved(file, specifier), [...trail, file]);
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  return found;
}

function sourceFiles(): string[] {
  return ['cmd', 'internal', 'test']
    .flatMap((top) =>
      fs
        .readdirSync(path.join(ROOT, top), { recursive: true, encoding: 'utf8' })
        .map((file) => path.join(top, file).split(path.sep).join('/')),
    )
    .filter((file) => file.endsWith('.ts') && !file.includes('node_modules/'));
}

test('every file follows the architecture rules', () => {
  const files = sourceFiles();
  assert.ok(files.length > 50, 'the source files were found');
  const found = files.flatMap((file) => {
    const all = violations(file, fs.readFileSync(path.join(ROOT, file), 'utf8'));
    // Tests may be longer, since they contain tables of cases.
    return file.startsWith('test/') ? all.filter((violation) => !violation.includes(' lines; ')) : all;
  });
  assert.deepEqual(found, []);
});

function productSources(): Map<string, string> {
  const files = sourceFiles().filter((file) => !file.startsWith('test/') && !file.endsWith('.test.ts'));
  return new Map(files.map((file) => [file, fs.readFileSync(path.join(ROOT, file), 'utf8')]));
}

test('the imports form no cycle', () => {
  assert.deepEqual(cycles(productSources()), []);
});

test('a cycle of imports is reported once', () => {
  const sources = new Map([
    ['cmd/a.ts', "import { b } from './b.ts';"],
    ['cmd/b.ts', "import { c } from './c.ts';"],
    ['cmd/c.ts', "import { b } from './b.ts';"],
  ]);
  assert.deepEqual(cycles(sources), ['cmd/b.ts → cmd/c.ts → cmd/b.ts']);
});

test('half of the files have fewer than 90 lines', () => {
  const lengths = [...productSources().values()]
    .map((source) => source.split('\n').length)
    .sort((a, b) => a - b);
  assert.ok((lengths[lengths.length >> 1] as number) < LONGEST_MEDIAN);
});

test('the folders of every layer, and of its tests, are named for the capabilities', () => {
  const folders = sourceFiles().flatMap((file) =>
    [SERVICE, POSTGRES, ROUTES, 'test/service/', 'test/postgres/']
      .filter((base) => file.startsWith(base))
      .flatMap((base) => capabilityOf(file, base) ?? []),
  );
  const beside = ['schema', 'operations'];
  assert.deepEqual(
    [...new Set(folders)].filter((folder) => ![...CAPABILITIES, ...beside].includes(folder)),
    [],
  );
});

/** SQL by hand, which is not checked against the schema: made by `statement`, or passed to `execute`. */
const BY_HAND = /\bstatement(<[^()]*>)?\(|\.execute(<[^()]*>)?\(\s*(sql|\/\/)/;
const MOST_BY_HAND = 24;

test('SQL by hand is rare, and a comment explains each use', () => {
  const found = [...productSources()]
    .filter(([file]) => file.startsWith(POSTGRES) && !/\/(queries|bulk-parameters)\.ts$/.test(file))
    .flatMap(([file, source]) => {
      const lines = source.split('\n');
      return lines.flatMap((line, n) =>
        /\bstatement\b|\.execute\b/.test(line) && BY_HAND.test(line + lines[n + 1])
          ? [
              {
                at: `${file}:${n + 1}`,
                isExplained: lines
                  .slice(Math.max(0, n - 12), n + 2)
                  .some((above) => above.includes('By hand: ')),
              },
            ]
          : [],
      );
    });
  assert.ok(found.length > 10 && found.length <= MOST_BY_HAND, `${found.length} statements were found`);
  assert.deepEqual(
    found.filter(({ isExplained }) => !isExplained),
    [],
  );
});

test('the only package that the domain imports is zod, in events.ts', () => {
  const packages = sourceFiles()
    .filter((file) => file.startsWith('internal/domain/') && !file.endsWith('.test.ts'))
    .flatMap((file) => importsOf(fs.readFileSync(path.join(ROOT, file), 'utf8')))
    .filter((specifier) => !specifier.startsWith('.'));
  assert.deepEqual(packages, ['zod']);
});

const BAD: readonly [file: string, source: string, violation: RegExp][] = [
  ['internal/domain/order.ts', "import { z } from 'zod';", /may not import 'zod'/],
  ['internal/domain/order.ts', "import type { Log } from '../service/ports.ts';", /service\/ports/],
  ['internal/domain/order.ts', "import { x } from 'node:fs';", /may not import 'node:fs'/],
  ['internal/domain/order.ts', 'const now = Date.now();', /may not use 'Date.now'/],
  ['internal/domain/order.ts', 'const now = new Date();', /may not use 'new Date\(\)'/],
  ['internal/domain/order.ts', 'export async function f() {}', /may not use 'async'/],
  ['internal/domain/order.ts', 'const port = process.env.PORT;', /may not use 'process.'/],
  ['internal/service/place-order.ts', 'const now = Date.now();', /may not use 'Date.now'/],
  ['internal/repository/redis/due-queue.ts', 'const now = new Date();', /may not use 'new Date\(\)'/],
  ['internal/service/place-order.ts', "import { Pool } from 'pg';", /may not import 'pg'/],
  [
    'internal/service/place-order.ts',
    "import { f } from '../repository/postgres/database.ts';",
    /repository/,
  ],
  ['internal/service/place-order.ts', "const m = await import('../transport/http/app.ts');", /transport/],
  ['internal/transport/http/app.ts', "import { f } from '../events/kafka-bus.ts';", /kafka-bus/],
  ['internal/transport/http/app.ts', "export { f } from '../../repository/redis/due-queue.ts';", /due-queue/],
  ['internal/transport/http/app.ts', "import '../../../cmd/config.ts';", /config/],
  ['internal/repository/redis/due-queue.ts', "import { f } from '../postgres/database.ts';", /database/],
  ['internal/repository/redis/due-queue.ts', "import { f } from '../../transport/http/app.ts';", /app\.ts/],
  ['cmd/wire.ts', "import { f } from '../test/support/builders.ts';", /builders/],
  ['cmd/wire.ts', 'x\n'.repeat(251), /has 251 lines/],
  ['internal/service/orders/place-order.ts', "import { f } from '../stream/consume.ts';", /consume\.ts/],
  ['internal/service/stream/consume.ts', "import type { W } from '../scheduling/ports.ts';", /scheduling/],
  ['internal/service/loop.ts', "import type { D } from './stream/ports.ts';", /stream\/ports/],
  ['internal/service/loop.ts', "import x from 'p-retry';", /p-retry/],
  ['internal/transport/http/app.ts', "import { f } from './routes/orders/order-routes.ts';", /order-routes/],
  ['internal/domain/utils/order.ts', '', /named 'utils'/],
  ['cmd/types.ts', '', /named 'types.ts'/],
  ['test/support/helpers.test.ts', '', /named 'helpers.test.ts'/],
];

for (const [file, source, violation] of BAD) {
  test(`the rules refuse ${file} with \`${source.slice(0, 60).trim() || 'any content'}\``, () => {
    const found = violations(file, source);
    assert.ok(
      found.some((text) => violation.test(text)),
      `found only: ${found.join('; ') || 'nothing'}`,
    );
  });
}

const GOOD: readonly [file: string, source: string][] = [
  ['internal/domain/events.ts', "import { z } from 'zod';\nimport { f } from './order.ts';"],
  ['internal/domain/order.ts', '/** Runs in the process. */\n// await nothing\nconst x = 1;'],
  [
    'internal/service/loop.ts',
    "import { pause } from 'node:timers/promises';\nimport { f } from '../domain/retry.ts';",
  ],
  [
    'internal/transport/http/app.ts',
    "import Koa from 'koa';\nimport type { Log } from '../../service/ports.ts';",
  ],
  ['internal/repository/redis/due-queue.ts', "import { asUnavailable } from './connection.ts';"],
  [
    'cmd/services/x.ts',
    "import { wire } from '../wire.ts';\nimport { f } from '../../internal/domain/order.ts';",
  ],
  ['cmd/wire.ts', 'x\n'.repeat(250)],
  ['internal/service/orders/confirm-orders.ts', "import { s } from '../scheduling/set-timers.ts';"],
  ['internal/service/payments/settle-payments.ts', "import pMap from 'p-map';"],
  [
    'internal/domain/order.test.ts',
    "import { x } from 'node:test';\nimport { b } from '../../test/support/builders.ts';",
  ],
];

for (const [file, source] of GOOD) {
  test(`the rules allow ${file} with \`${source.slice(0, 60).replaceAll('\n', ' ').trim()}\``, () => {
    assert.deepEqual(violations(file, source), []);
  });
}

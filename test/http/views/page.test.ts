/** The pages' files, their security policy, and how a start finds or builds them. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { loadPages } from '../../../cmd/pages.ts';
import { type Pages, pageRoutes } from '../../../internal/transport/http/routes/views/page-routes.ts';
import { temporaryDirectory } from '../../embedded/checkout.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { type Api, startApi } from '../api.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const LINK = `/track/o1~r~zzzz~${'a'.repeat(22)}`;
const PAGES = {
  '/': 'index.html',
  [LINK]: 'track.html',
  '/kitchen': 'kitchen.html',
  '/rider': 'rider.html',
  '/console': 'console.html',
};
const MOST_BYTES = 100_000;

let api: Api;
let pages: Pages;
const html = (name: string) => String(pages.files.get(name));
/** The files that a text of the build names. */
const namedIn = (text: string) => [
  ...new Set([...text.matchAll(/assets\/[\w-]+\.\w+/g)].map(([file]) => file)),
];

before(async () => {
  pages = await loadPages(recordingLog());
  api = await startApi({ more: pageRoutes(Promise.resolve(pages)) });
});
after(() => api.close());

/** What a browser loads for a page: its HTML, the files that this names, and those that they import. */
function loadedBy(page: string): string[] {
  const loaded = [page];
  for (const file of loaded) {
    const text = String(pages.files.get(file));
    const imported = [...text.matchAll(/(?:from|import)\s*["']\.\/([\w-]+\.js)["']/g)];
    for (const name of [...namedIn(text), ...imported.map(([, name]) => `assets/${name}`)])
      if (!loaded.includes(name)) loaded.push(name);
  }
  return loaded;
}

test('the pages and all of their files are served to anyone, with their media types', async () => {
  const types: Record<string, RegExp> = {
    '.html': /^text\/html/,
    '.js': /^text\/javascript/,
    '.css': /^text\/css/,
    '.svg': /^image\/svg\+xml/,
  };
  const needed = [...new Set(Object.values(PAGES).flatMap(loadedBy))];
  assert.deepEqual(needed.sort(), [...pages.files.keys()].sort(), 'every file is used by a page');
  for (const file of needed) {
    const route = Object.entries(PAGES).find(([, name]) => name === file)?.[0] ?? `/${file}`;
    const { status, text, headers } = await api.ask('GET', route);
    assert.deepEqual([status, text], [200, String(pages.files.get(file))], file);
    assert.match(headers['content-type'] ?? '', types[path.extname(file)]!, file);
    assert.equal(headers['x-content-type-options'], 'nosniff');
  }
  const cut = await api.ask('GET', LINK.slice(0, -1));
  assert.deepEqual(
    [cut.status, cut.text],
    [404, html('track.html')],
    'the page says that the link is not whole',
  );
  assert.equal((await api.ask('GET', '/assets/none-0.js')).status, 404);
  assert.equal((await api.ask('GET', '/assets/..%2Findex.html')).status, 404);
});

test('each page takes less than 100 kB with all that it loads, compressed', async () => {
  for (const [route, page] of Object.entries(PAGES)) {
    const loaded = loadedBy(page);
    assert.ok(loaded.length >= 3, `${loaded}`);
    const bytes = loaded.reduce((sum, file) => sum + gzipSync(pages.files.get(file) as Buffer).length, 0);
    assert.ok(bytes > 1_000 && bytes < MOST_BYTES, `${route} takes ${bytes} bytes`);
  }
});

test('the console has the name of its environment', async () => {
  const named = await startApi({ more: pageRoutes(Promise.resolve(pages), 'staging') });
  try {
    for (const path of ['/console', '/console/letters', '/console/letters/7'])
      assert.match((await named.ask('GET', path)).text, /<meta name="environment" content="staging">/, path);
    assert.doesNotMatch((await named.ask('GET', '/kitchen')).text, /staging/);
    assert.equal((await named.ask('GET', '/console/nowhere')).status, 404);
  } finally {
    await named.close();
  }
});

test('a page is asked for anew each time, and its files are kept for good, for their names say what is in them', async () => {
  const first = await api.ask('GET', '/');
  assert.equal(first.headers['cache-control'], 'no-cache');
  const tag = { 'if-none-match': String(first.headers.etag) };
  const again = await api.ask('GET', '/', { headers: tag });
  assert.deepEqual([again.status, again.text], [304, '']);
  assert.equal((await api.ask('GET', LINK, { headers: tag })).status, 200);
  for (const file of namedIn(html('index.html'))) {
    assert.match(file, /-[\w-]{8}\.\w+$/);
    const { headers } = await api.ask('GET', `/${file}`);
    assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable');
  }
});

test('files are sent compressed to clients that can read that', async () => {
  const origin = `http://127.0.0.1:${api.port}`;
  const [file = ''] = namedIn(html('index.html')).filter((name) => name.endsWith('.js'));
  const response = await fetch(`${origin}/${file}`, { headers: { 'Accept-Encoding': 'gzip' } });
  assert.deepEqual(
    ['content-encoding', 'vary'].map((name) => response.headers.get(name)),
    ['gzip', 'Accept-Encoding'],
  );
  assert.equal(await response.text(), String(pages.files.get(file)));
  const plain = await api.ask('GET', `/${file}`, { headers: { 'accept-encoding': 'identity' } });
  assert.equal(plain.headers['content-encoding'], undefined);
  assert.notEqual(plain.headers.etag, response.headers.get('etag'));
  assert.throws(() => gunzipSync(plain.text));
});

test('a page loads no external resource, has no inline code, and never inserts text as HTML', async () => {
  for (const [route, page] of Object.entries(PAGES)) {
    const { headers } = await api.ask('GET', route);
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /require-trusted-types-for 'script'/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*|data:/);
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.doesNotMatch(html(page), /https?:|<style|\sstyle=|\son\w+=|<script>|<script(?! type="module" )/);
  }
  const sources = fs
    .readdirSync(path.join(ROOT, 'web'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !name.startsWith('dist'));
  assert.ok(sources.length > 10);
  for (const file of sources)
    assert.doesNotMatch(
      fs.readFileSync(path.join(ROOT, 'web', file), 'utf8'),
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/i,
      file,
    );
});

test('only the page of a link may be shown in a frame of another site', async () => {
  const policyOf = async (route: string) =>
    String((await api.ask('GET', route)).headers['content-security-policy']);
  assert.match(await policyOf('/'), /frame-ancestors 'none'/);
  assert.doesNotMatch(await policyOf(LINK), /frame-ancestors/);
});

describe('a start', { timeout: 120_000 }, () => {
  /** A checkout with the pages' sources, not built; with the packages of this one, unless without any. */
  function checkout(packages = true): string {
    const root = temporaryDirectory();
    const filter = (from: string) => from !== path.join(ROOT, 'web', 'dist');
    fs.cpSync(path.join(ROOT, 'web'), path.join(root, 'web'), { recursive: true, filter });
    for (const file of ['package.json', 'tsconfig.json'])
      fs.copyFileSync(path.join(ROOT, file), path.join(root, file));
    if (packages) fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(root, 'node_modules'));
    return root;
  }
  const builds = (root: string) => fs.readdirSync(path.join(root, 'web', 'dist'));
  const load = async (root: string) => {
    const log = recordingLog();
    const { files, missing } = await loadPages(log, root);
    return { files, missing, said: log.lines.map(({ level, message }) => `${level}: ${message}`) };
  };
  const BUILT = 'info: the pages are built';

  test('builds the pages where they are missing or older than their sources, once', async () => {
    const root = checkout();
    const [first, other] = await Promise.all([load(root), load(root)]);
    assert.deepEqual(
      [first.said, other.said],
      [[BUILT], [BUILT]],
      'two that start together do not disturb each other',
    );
    assert.deepEqual([...first.files.keys()].sort(), [...pages.files.keys()].sort());
    const found = await load(root);
    assert.deepEqual([found.said, found.files], [[], first.files]);
    const [before] = builds(root);
    fs.appendFileSync(path.join(root, 'web', 'index.html'), '<!-- changed -->\n');
    const changed = await load(root);
    assert.deepEqual(changed.said, [BUILT]);
    assert.match(String(changed.files.get('index.html')), /changed/);
    assert.equal(builds(root).length, 1, 'the older build is removed');
    assert.notEqual(builds(root)[0], before);
  });

  test('keeps the pages in memory where they cannot be stored', async () => {
    const root = checkout();
    fs.writeFileSync(path.join(root, 'web', 'dist'), 'no directory can be made here');
    const { files, said } = await load(root);
    assert.deepEqual(said, [BUILT]);
    assert.deepEqual([...files.keys()].sort(), [...pages.files.keys()].sort());
  });

  test('without Vite takes a build that is there, and else says in one sentence what is missing', async () => {
    const root = checkout(false);
    const { files, missing, said } = await load(root);
    assert.deepEqual([files.size, said], [0, [`warn: ${missing}`]]);
    const bare = await startApi({ more: pageRoutes(loadPages(recordingLog(), root)) });
    const page = await bare.ask('GET', '/');
    assert.deepEqual([page.status, page.text], [503, `${missing}\n`]);
    assert.equal((await bare.order({ customer_name: 'Asha', total_price: 1 })).status, 201);
    await bare.close();

    fs.mkdirSync(path.join(root, 'web', 'dist', 'older'), { recursive: true });
    fs.writeFileSync(path.join(root, 'web', 'dist', 'older', 'index.html'), 'older');
    const older = await load(root);
    assert.equal(String(older.files.get('index.html')), 'older');
    assert.match(older.said.join(), /^warn: the pages are older than their sources/);
  });

  test('goes on where a build fails, and the log says why', async () => {
    const root = checkout();
    fs.writeFileSync(path.join(root, 'web', 'home', 'main.tsx'), 'this is no <program');
    const { files, missing, said } = await load(root);
    assert.deepEqual([files.size, said], [0, ['error: the pages could not be built']]);
    assert.match(String(missing), /the log has the reason/);
  });
});

/** The types by which the pages ask the API are those of its document. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { API_TYPES, documentOfPages, headerOf } from './pages-document.ts';

test('web/api.d.ts is written from the API’s document as it is', async () => {
  const document = await documentOfPages();
  assert.ok(Object.keys(document.paths).length > 5);
  const [header] = fs.readFileSync(API_TYPES, 'utf8').split('\n');
  assert.equal(`${header}\n`, headerOf(document), 'web/api.d.ts is stale: npm run api-types');
  assert.notEqual(headerOf({ ...document, paths: {} }), headerOf(document));
});

/** The configuration documents are generated from the settings and describe every one of them. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parseEnv } from 'node:util';
import { configurationPage, exampleFile } from '../../cmd/config/documentation.ts';
import { SECTIONS, SETTINGS } from '../../cmd/config/settings.ts';
import { readConfig } from '../../cmd/config.ts';

const file = (name: string) => readFile(new URL(`../../${name}`, import.meta.url), 'utf8');

test('docs/configuration.md and .env.example equal the current output of `npm run configuration`', async () => {
  assert.equal(await file('docs/configuration.md'), configurationPage(), 'run: npm run configuration');
  assert.equal(await file('.env.example'), exampleFile(), 'run: npm run configuration');
});

test('every setting belongs to exactly one section, and has documented values and a description', () => {
  const listed = Object.values(SECTIONS).flatMap((section) => Object.keys(section));
  assert.deepEqual(listed.sort(), Object.keys(SETTINGS).sort());
  for (const line of configurationPage()
    .split('\n')
    .filter((row) => row.startsWith('| `'))) {
    const [, name, takes, , description] = line.split('|').map((cell) => cell.trim());
    assert.ok(name !== '' && takes !== '' && (description ?? '').length > 10, line);
  }
});

test('the unmodified example file gives the default configuration', () => {
  assert.deepEqual(readConfig(parseEnv(exampleFile())), readConfig({}));
});

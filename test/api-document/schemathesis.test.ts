/**
 * Schemathesis tests the running program by its own OpenAPI document: no 5xx, no status or body that is not documented, no
 * request refused that fits the document, none accepted that does not. SCHEMATHESIS_SEED and SCHEMATHESIS_SECONDS make
 * other and longer runs.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type System, startSystem } from '../acceptance/system.ts';
import { fuzz, whyNoSchemathesis } from '../support/schemathesis.ts';
import { placeOneOfEach } from './placed.ts';

const seed = Number(process.env.SCHEMATHESIS_SEED ?? 20_260_601);
const seconds = Number(process.env.SCHEMATHESIS_SECONDS ?? 40);

describe('the API, tested by its document', { skip: await whyNoSchemathesis() }, () => {
  let system: System;
  let known: Record<string, readonly string[]>;
  before(async () => {
    system = await startSystem({ AUTH: 'off' });
    known = await placeOneOfEach(system);
  });
  after(() => system?.stop());

  it('answers every generated request as the document says', async () => {
    const phases = ['examples', 'coverage', 'fuzzing'] as const;
    const { found, report } = await fuzz({ url: system.program.url, seed, phases, seconds, known });
    assert.ok(!found, report);
    const [, cases = '0'] = /(\d+) generated/.exec(report) ?? [];
    assert.ok(Number(cases) > 1_000, `only ${cases} requests:\n${report}`);
    assert.deepEqual(
      system.program.log.filter(({ level }) => level === 'error'),
      [],
    );
  });
});

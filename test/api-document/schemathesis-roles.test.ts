/** Schemathesis tests the API with a token of each role: what a role may not do is 403, and without the token 401. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type System, startSystem } from '../acceptance/system.ts';
import { bearer, SECRET } from '../http/tokens.ts';
import { fuzz, whyNoSchemathesis } from '../support/schemathesis.ts';
import { placeOneOfEach } from './placed.ts';

const seed = Number(process.env.SCHEMATHESIS_SEED ?? 20_260_602);
const seconds = Number(process.env.SCHEMATHESIS_SECONDS ?? 10);

describe('the API, tested by its document with tokens', { skip: await whyNoSchemathesis() }, () => {
  let system: System;
  let known: Record<string, readonly string[]>;
  before(async () => {
    system = await startSystem({ AUTH_JWT_SECRET: SECRET });
    known = await placeOneOfEach(system, await bearer('operator', 'operator'));
  });
  after(() => system?.stop());

  for (const role of ['customer', 'restaurant', 'rider', 'operator'] as const) {
    it(`answers every generated request of a ${role} as the document says`, async () => {
      const subject = {
        customer: 'asha',
        restaurant: known['path.rid']![0]!,
        rider: 'rider-1',
        operator: 'op',
      };
      const { authorization } = await bearer(subject[role], role);
      // In this spelling Schemathesis knows the header as the token, and leaves it out to see the answer.
      const headers = { Authorization: authorization };
      const phases = ['examples', 'coverage', 'fuzzing'] as const;
      const { found, report } = await fuzz({
        url: system.program.url,
        seed,
        phases,
        seconds,
        known,
        headers,
      });
      assert.ok(!found, report);
      assert.deepEqual(
        system.program.log.filter(({ level }) => level === 'error'),
        [],
      );
    });
  }
});

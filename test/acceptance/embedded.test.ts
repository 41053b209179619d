/** The acceptance tests of the reference documents, on the Postgres stream. */
import { after, before, describe } from 'node:test';
import { type System, startSystem } from './system.ts';
import { walks } from './walks.ts';

for (const [name, walk] of walks) {
  describe(`${name}, on the Postgres stream`, () => {
    let system: System;
    before(async () => {
      system = await startSystem();
    });
    after(() => system?.stop());
    walk(() => system);
  });
}

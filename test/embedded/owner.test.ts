/** The ownership of a data directory: one at a time, and a dead owner's is taken over at once. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { askOwner, own } from '../../cmd/embedded/owner.ts';
import { temporaryDirectory } from './checkout.ts';

test('of eight that want a dead owner’s directory at the same instant exactly one becomes its owner', async () => {
  const dir = temporaryDirectory();
  const listen = `require('node:net').createServer().listen('owner.sock', () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', listen], { cwd: dir }); // leaves its socket behind
  assert.equal(await askOwner(dir), undefined);
  const attempts = Array.from({ length: 8 }, (_, n) =>
    own(dir, () => ({ program: n + 1 })).then(() => n + 1),
  );
  const results = await Promise.allSettled(attempts);
  const winners = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  assert.equal(winners.length, 1);
  assert.deepEqual(await askOwner(dir), { program: winners[0] });
  for (const result of results) {
    if (result.status === 'rejected')
      assert.equal(
        result.reason.message,
        `The data directory ${dir} is in use by process ${winners[0]}; stop it, or set DATA_DIR to another.`,
      );
  }
});

/** Tests of group commit: its groups, its limits, and commands that fail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from '../../internal/domain/errors.ts';
import { groupCommit } from '../../internal/service/group-commit.ts';
import { gate, turns } from '../support/turns.ts';

const OPTIONS = { maxBatch: 10, concurrency: 1, maxWaiting: 100 };

/** A commit that ends when the test calls `end` or `fail` of its group. */
function heldCommit(options = OPTIONS) {
  const groups: { commands: readonly number[]; end: () => void; fail: (error: unknown) => void }[] = [];
  const submit = groupCommit<number, string>(async (commands) => {
    const held = gate();
    groups.push({ commands, end: () => held.open(), fail: held.fail });
    await held.promise;
    return commands.map((command) => `done ${command}`);
  }, options);
  return { submit, groups, sizes: () => groups.map(({ commands }) => commands.length) };
}

test('commands that arrive together are committed together, and each gets its own result', async () => {
  const groups: (readonly number[])[] = [];
  const submit = groupCommit(async (commands: readonly number[]) => {
    groups.push(commands);
    return commands.map((command) => command * 2);
  }, OPTIONS);
  assert.deepEqual(await Promise.all([1, 2, 3].map(submit)), [2, 4, 6]);
  assert.deepEqual(groups, [[1, 2, 3]]);
});

test('commands that arrive during a commit form the next group', async () => {
  const { submit, groups, sizes } = heldCommit();
  const first = submit(1);
  await turns();
  const others = [2, 3].map(submit);
  await turns();
  const last = submit(4);
  await turns();
  assert.deepEqual(sizes(), [1]);
  groups[0]?.end();
  assert.equal(await first, 'done 1');
  await turns();
  assert.deepEqual(groups[1]?.commands, [2, 3, 4]);
  groups[1]?.end();
  assert.deepEqual(await Promise.all([...others, last]), ['done 2', 'done 3', 'done 4']);
});

test('a group never has more than `maxBatch` commands', async () => {
  const { submit, groups, sizes } = heldCommit({ ...OPTIONS, maxBatch: 3, concurrency: 9 });
  const all = [1, 2, 3, 4, 5, 6, 7].map(submit);
  await turns();
  assert.deepEqual(sizes(), [3, 3, 1]);
  for (const { end } of groups) end();
  assert.equal((await Promise.all(all)).length, 7);
});

test('no more than `concurrency` groups are committed at a time', async () => {
  const { submit, groups, sizes } = heldCommit({ ...OPTIONS, maxBatch: 1, concurrency: 2 });
  const all = [1, 2, 3, 4].map(submit);
  await turns();
  assert.deepEqual(sizes(), [1, 1]);
  groups[1]?.end();
  await turns();
  assert.deepEqual(sizes(), [1, 1, 1]);
  groups[0]?.end();
  await turns();
  for (const { end } of groups) end();
  assert.equal((await Promise.all(all)).length, 4);
});

test('a command that makes its group fail is the only one that is rejected', async () => {
  const groups: number[] = [];
  const submit = groupCommit(async (commands: readonly string[]) => {
    groups.push(commands.length);
    if (commands.includes('poison')) throw new RangeError('cannot stomach this');
    return commands.map((command) => command.toUpperCase());
  }, OPTIONS);
  const results = await Promise.allSettled(['a', 'poison', 'b'].map(submit));
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : String(result.reason))),
    ['A', 'RangeError: cannot stomach this', 'B'],
  );
  assert.deepEqual(groups, [3, 1, 1, 1]);
  assert.equal(await submit('c'), 'C', 'the next group succeeds');
});

test('a commit that throws synchronously rejects only its own commands', async () => {
  const submit = groupCommit((commands: readonly string[]): Promise<string[]> => {
    if (commands.includes('bad')) throw new TypeError('at once');
    return Promise.resolve([...commands]);
  }, OPTIONS);
  await assert.rejects(submit('bad'), /at once/);
  assert.equal(await submit('good'), 'good');
});

test('a transient fault rejects the whole group, whose commands are not retried one by one', async () => {
  let commits = 0;
  const submit = groupCommit<number, number>(async () => {
    commits += 1;
    throw new TiffinError('UNAVAILABLE', 'the database cannot be reached');
  }, OPTIONS);
  const results = await Promise.allSettled([1, 2, 3].map(submit));
  assert.ok(results.every((result) => result.status === 'rejected' && result.reason.code === 'UNAVAILABLE'));
  assert.equal(commits, 1);
});

test('a command beyond `maxWaiting` is rejected with OVERLOADED, until the queue is shorter again', async () => {
  const { submit, groups } = heldCommit({ maxBatch: 2, concurrency: 1, maxWaiting: 2 });
  const first = [1, 2].map(submit);
  await turns();
  const waiting = [3, 4].map(submit);
  await assert.rejects(submit(5), { code: 'OVERLOADED' });
  groups[0]?.end();
  await Promise.all(first);
  await turns();
  const last = submit(6);
  groups[1]?.end();
  await Promise.all(waiting);
  await turns();
  groups[2]?.end();
  assert.equal(await last, 'done 6');
});

/** Tests of the simulator: the system keeps its promises, a seed repeats its run, and each broken build is caught. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { merge } from '../../cmd/audit/audit.ts';
import { run as runScript } from '../support/run-script.ts';
import { BROKEN_BUILDS, planFor } from './broken.ts';
import { planOf } from './plan.ts';
import { faultsOf, shrink } from './shrink.ts';
import { type Run, simulate } from './simulation.ts';

const RUNS = 100;

test('every promise holds in a hundred runs with faults, and they reach what they are about', async () => {
  const runs: Run[] = [];
  for (let seed = 1; seed <= RUNS; seed++) runs.push(await simulate(planOf(seed)));
  const failed = runs.filter((run) => faultsOf(run).length > 0);
  assert.deepEqual(
    failed.map((run) => [run.plan.seed, faultsOf(run)]),
    [],
  );
  const { coverage, missing } = merge(
    runs.map(({ report }) => report),
    ['cancel:ok', 'reschedule:ok', 'cancel~start', 'OUT_FOR_DELIVERY>DELIVERED', 'fault:crash', 'fault:lost'],
  );
  assert.deepEqual(missing, []);
  assert.ok((coverage.get('CREATED>PROCESSING') ?? 0) > RUNS);
});

test('the same seed gives the same run, and another seed another', async () => {
  const [first, again, other] = [
    await simulate(planOf(7)),
    await simulate(planOf(7)),
    await simulate(planOf(8)),
  ];
  assert.ok(first.injected.size > 0, 'the run has faults');
  assert.deepEqual(first.history, again.history);
  assert.notDeepEqual(first.history, other.history);
});

for (const build of BROKEN_BUILDS) {
  const { name, broken, caughtBy, within } = build;
  test(`${name} is caught by ${caughtBy} within ${within} runs`, async () => {
    for (let seed = 1; seed <= within; seed++)
      if (faultsOf(await simulate(planFor(build, seed), broken)).includes(caughtBy)) return;
    assert.fail(`${within} runs did not show it`);
  });
}

test('a run that fails is shrunk to fewer orders and faults that show the same', async () => {
  const build = BROKEN_BUILDS.find(({ name }) => name === 'reconcile without deadlines');
  assert.ok(build);
  const { broken } = build;
  let run = await simulate(planFor(build, 1), broken);
  for (let seed = 2; faultsOf(run).length === 0; seed++) run = await simulate(planFor(build, seed), broken);
  const shortest = await shrink(run, broken);
  assert.deepEqual(faultsOf(shortest)[0], faultsOf(run)[0]);
  assert.equal(shortest.plan.orders.length, 1);
  assert.ok(shortest.injected.size <= 2, `${shortest.injected.size} faults are left`);
});

test('a run without end fails, whether its time goes on or stands still', async () => {
  const { orders, ...plan } = planOf(3);
  const late = await simulate({ ...plan, orders: orders.map((order) => ({ ...order, placeAt: 1e9 })) });
  const still = await simulate(planOf(3), {
    queue: (queue) => ({
      ...queue,
      async mark() {
        for (;;) await pause(0);
      },
    }),
  });
  for (const { surprises } of [late, still]) assert.match(surprises.join(), /the run was not over/);
});

test('a run whose turn never ends is killed, and its seed printed', async () => {
  const { code, output } = await runScript('test/simulation/endless-turn.ts', ['7']);
  assert.notEqual(code, 0);
  assert.match(output, /seed 7 fails: a turn does not end/);
});

test('npm run simulate prints the same table for any number of processes', async () => {
  const out = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-simulation-')), 'history.jsonl');
  const [alone, together] = await Promise.all(
    ['1', '2'].map((jobs) =>
      runScript('test/simulation/main.ts', [
        ...['--seed', '5', '--runs', '53', '--jobs', jobs, '--out', out],
      ]),
    ),
  );
  assert.equal(alone?.code, 0);
  assert.match(alone.output, /linearizable +\d+ +0/);
  assert.deepEqual(together, alone);
  assert.equal(fs.existsSync(out), false);
});

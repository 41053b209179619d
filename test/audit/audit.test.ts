/** Tests of the auditor: each invariant is broken by a history made for it, and by no other. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import {
  audit,
  broken,
  exitCode,
  INVARIANTS,
  type InvariantName,
  merge,
  tableOf,
} from '../../cmd/audit/audit.ts';
import { type HistoryLine, historyOf, readHistory } from '../../cmd/audit/history.ts';
import { run } from '../support/run-script.ts';
import { BREAKS, event, HEALTHY, operation, order } from './histories.ts';

const textOf = (lines: readonly HistoryLine[]) => lines.map((line) => JSON.stringify(line)).join('\n');
const brokenBy = (...lines: HistoryLine[]) => broken(audit(historyOf([...HEALTHY, ...lines])));

test('a healthy history breaks no invariant, and every invariant has looked at something', () => {
  const report = audit(readHistory(textOf(HEALTHY)));
  assert.deepEqual(broken(report), []);
  assert.equal(exitCode(report), 0);
  assert.deepEqual(
    [...report.verdicts].filter(([, { checked }]) => checked === 0),
    [],
  );
});

for (const name of Object.keys(INVARIANTS) as InvariantName[]) {
  test(`a history made for it breaks ${name} and nothing else`, () => {
    const report = audit(readHistory(textOf([...HEALTHY, ...BREAKS[name]])));
    assert.deepEqual(broken(report), [name]);
    assert.equal(exitCode(report), 1);
    assert.match(tableOf(report), new RegExp(`^${name} +\\d+ +1$`, 'm'));
  });
}

const MORE_BREAKS: readonly [what: string, name: InvariantName, lines: readonly HistoryLine[]][] = [
  [
    'an order that waits for its dispatch too long',
    'ended-by-deadline',
    [order('waits', ['CREATED'], { dueAt: 58_000 })],
  ],
  [
    'stock below zero',
    'stock-conserved',
    [
      { type: 'state', kind: 'stock', itemId: 'bread', initial: 1, left: -1 },
      {
        type: 'state',
        kind: 'reservation',
        orderId: 'x',
        state: 'reserved',
        lines: [{ itemId: 'bread', quantity: 2 }],
      },
    ],
  ],
  [
    'a cancelled order that still has stock',
    'stock-conserved',
    [{ type: 'state', kind: 'reservation', orderId: 'early', state: 'reserved', lines: [] }],
  ],
  [
    'an order that succeeded and was not charged',
    'money-follows-the-order',
    [order('free', ['CREATED', 'PROCESSING', 'COMPLETED'], { hasItems: true, totalMinor: 500 })],
  ],
  ['a dispatch before its time', 'none-before-its-time', [event('x', 'order.ready', 'e9', { dueAt: 1_101 })]],
  [
    'two events with one version',
    'versions-without-gap',
    [event('paid', 'order.noted', 'e9', { version: 4 })],
  ],
  [
    'an order that was ready, and has not started',
    'events-accounted-for',
    [
      { type: 'state', kind: 'consumer', consumer: 'start', types: ['order.ready'], marks: false },
      event('idle', 'order.ready', 'e9'),
      order('idle', ['CREATED'], { dueAt: 59_500 }),
    ],
  ],
];

for (const [what, name, lines] of MORE_BREAKS)
  test(`${what} breaks ${name}`, () => assert.deepEqual(brokenBy(...lines), [name]));

const HARMLESS: readonly [what: string, lines: readonly HistoryLine[]][] = [
  [
    'an order whose placing had no known outcome and that is not there',
    operation('info', 'place', 'x', [1, 2]),
  ],
  ['an order that still waits for its time', [order('future', ['CREATED'], { dueAt: 99_000 })]],
  [
    'an event that became a dead letter',
    [
      event('paid', 'order.confirmed', 'e8'),
      { type: 'state', kind: 'dead-letter', consumer: 'kitchen', eventId: 'e8', orderId: 'paid' },
    ],
  ],
  [
    'an order that failed while it was late',
    [order('failed', ['CREATED', 'PROCESSING', 'CONFIRMED', 'FAILED'], { reason: 'NO_RIDER' })],
  ],
];

for (const [what, lines] of HARMLESS)
  test(`${what} breaks nothing`, () => assert.deepEqual(brokenBy(...lines), []));

test('a run that did not reach what it is about is refused', () => {
  const history = historyOf(HEALTHY);
  const reached = ['CREATED>PROCESSING', 'cancel:ok', 'reschedule:fail', 'cancel~start'];
  assert.equal(exitCode(audit(history, reached)), 0);
  const report = audit(history, [...reached, 'CONFIRMED>REJECTED', 'cancel:info']);
  assert.deepEqual(report.missing, ['CONFIRMED>REJECTED', 'cancel:info']);
  assert.equal(exitCode(report), 2);
  assert.match(tableOf(report), /did not reach cancel:info/);
});

test('the reports of several runs add up', () => {
  const good = audit(historyOf(HEALTHY));
  const bad = audit(historyOf([...HEALTHY, ...BREAKS['processed-once']]));
  const report = merge([good, bad], ['cancel:ok', 'cancel:info']);
  assert.deepEqual(broken(report), ['processed-once']);
  assert.equal(report.coverage.get('cancel:ok'), 4);
  assert.deepEqual(report.missing, ['cancel:info']);
});

test('a line that is no part of a history is named', () => {
  assert.throws(() => readHistory('{"type":"state","kind":"wish"}'), /line 1 .*wish/);
  assert.throws(() => readHistory('\n{"type":"ok","process":1,"op":"place","orderId":"x"}'), /line 2/);
  assert.throws(() => readHistory('{'), /line 1/);
  assert.throws(
    () => readHistory('{"type":"ok","process":1,"op":"place","orderId":"x","at":1}'),
    /without a call/,
  );
});

test('npm run audit ends with the exit code of the report', async () => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-audit-')), 'history.jsonl');
  fs.writeFileSync(file, textOf(HEALTHY));
  const good = await run('cmd/audit/main.ts', [file]);
  assert.equal(good.code, 0);
  assert.match(good.output, /linearizable +3 +0/);
  assert.equal((await run('cmd/audit/main.ts', [file, '--need', 'cancel:info'])).code, 2);
  fs.writeFileSync(file, textOf([...HEALTHY, ...BREAKS['stock-conserved']]));
  assert.equal((await run('cmd/audit/main.ts', [file])).code, 1);
  assert.equal((await run('cmd/audit/main.ts', ['/no/such/file'])).code, 2);
});

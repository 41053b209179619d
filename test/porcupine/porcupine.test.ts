/** Tests that the auditor's check of linearizability and Porcupine's, with a model written for itself, say the same. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { type HistoryLine, readHistory } from '../../cmd/audit/history.ts';
import { linearizable } from '../../cmd/audit/order-model.ts';
import { BREAKS, HEALTHY } from '../audit/histories.ts';
import { RACES } from '../audit/races.ts';
import { planOf } from '../simulation/plan.ts';
import { simulate } from '../simulation/simulation.ts';
import { buildChecker, type Checker, type Verdict } from './checker.ts';
import { linesOf, story } from './generated.ts';

const GENERATED = 400;
const SIMULATED = 15;

const built = buildChecker();
const skip = typeof built === 'string' ? built : false;
const porcupine = built as Checker;
after(() => {
  if (!skip) porcupine.remove();
});

const textOf = (lines: readonly HistoryLine[]) => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

function auditorOn(text: string): Verdict {
  const { checked, violations } = linearizable(readHistory(text));
  const ids = violations.map((violation) => /for order (\S+) fit/.exec(violation)?.[1] ?? violation);
  return { checked, violations: ids.sort() };
}

/** The verdicts on which both agree; a disagreement is shown with its history. */
function agreed(histories: readonly (readonly HistoryLine[])[]): Verdict[] {
  const texts = histories.map(textOf);
  const theirs = porcupine.check(texts);
  return texts.map((text, n) => {
    const own = auditorOn(text);
    const isSame = JSON.stringify(own) === JSON.stringify(theirs[n]);
    if (!isSame)
      assert.fail(
        `the auditor says ${JSON.stringify(own)}, Porcupine ${JSON.stringify(theirs[n])}, on\n${told(text)}`,
      );
    return own;
  });
}

/** The lines of a history that matter here. */
function told(text: string): string {
  return text
    .split('\n')
    .filter((line) => !line.includes('"type":"state"') || /"kind":"(run|order)"/.test(line))
    .join('\n');
}

test('both judge every hand-made race as it was made', { skip }, () => {
  const verdicts = agreed(RACES.map(([, , lines]) => lines));
  for (const [n, [what, expected]] of RACES.entries())
    assert.deepEqual(verdicts[n], { checked: 1, violations: expected ? [] : ['o'] }, what);
});

test('both find the one history among those of the auditor that is not linearizable', { skip }, () => {
  const names = Object.keys(BREAKS) as (keyof typeof BREAKS)[];
  const verdicts = agreed(names.map((name) => [...HEALTHY, ...BREAKS[name]]));
  const broken = names.filter((_, n) => verdicts[n]?.violations.length !== 0);
  assert.deepEqual(broken, ['linearizable']);
});

test('both agree on generated histories, and a history that was not altered is linearizable', {
  skip,
}, () => {
  const seen = { linearizable: 0, not: 0 };
  const property = fc.property(story, (one) => {
    const [verdict] = agreed([linesOf(one)]);
    const isLinearizable = verdict?.violations.length === 0;
    if (one.alterations.length === 0) assert.ok(isLinearizable, textOf(linesOf(one)));
    else seen[isLinearizable ? 'linearizable' : 'not'] += 1;
  });
  fc.assert(property, { numRuns: GENERATED, includeErrorInReport: true });
  assert.ok(seen.linearizable > GENERATED / 20 && seen.not > GENERATED / 20, JSON.stringify(seen));
});

test('both agree on simulated runs, and on what is left of them when one request is forgotten', {
  skip,
}, async () => {
  const histories: (readonly HistoryLine[])[] = [];
  for (let seed = 1; seed <= SIMULATED; seed += 1) histories.push((await simulate(planOf(seed))).history);
  const forgetful = histories.map((lines) => {
    const forgotten = lines.find((line) => line.type === 'invoke' && line.op !== 'place');
    return lines.filter(
      (line) =>
        line.type === 'state' ||
        forgotten?.type === 'state' ||
        line.process !== forgotten?.process ||
        line.op !== forgotten.op,
    );
  });
  const verdicts = agreed([...histories, ...forgetful]);
  assert.deepEqual(
    verdicts.slice(0, SIMULATED).flatMap(({ violations }) => violations),
    [],
  );
  const checked = verdicts.reduce((sum, verdict) => sum + verdict.checked, 0);
  assert.ok(checked > 2 * SIMULATED, `${checked} orders`);
  assert.ok(verdicts.slice(SIMULATED).some(({ violations }) => violations.length > 0));
});

/** Histories of one order drawn at random: true ones, whose requests ran one at a time, and ones in which something was altered. */
import fc from 'fast-check';
import type { HistoryLine, OperationLine } from '../../cmd/audit/history.ts';

/** What becomes of a request; after the last two its process never hears of it. */
const FATES = ['answered', 'answered', 'answered', 'refused', 'lost', 'away', 'silent', 'unsent'] as const;
const HAPPENS: ReadonlySet<string> = new Set(['answered', 'lost', 'silent']);
const CODES = ['ILLEGAL_TRANSITION', 'ALREADY_DISPATCHED', 'ORDER_NOT_FOUND', 'OVERLOADED'];
const STATUSES = ['CREATED', 'PROCESSING', 'CONFIRMED', 'COMPLETED', 'FAILED', 'CANCELLED'];
/** Few, so that two reschedulings often agree. */
const DUE_TIMES = [2_000, 3_000, 4_000];
const STEP_MS = 10;

const index = fc.nat({ max: 7 });
const dueAt = fc.constantFrom(...DUE_TIMES);
const step = fc.record({
  op: fc.constantFrom('cancel', 'reschedule', 'reschedule', 'read', 'place', 'start', 'start', 'end'),
  fate: fc.constantFrom(...FATES),
  dueAt,
  /** Milliseconds from the call to the moment of its effect, and from there to the answer. */
  before: fc.nat({ max: 40 }),
  after: fc.nat({ max: 40 }),
});
const alteration = fc.oneof(
  fc.record({ what: fc.constant('drop' as const), index }),
  fc.record({ what: fc.constant('move' as const), index, byMs: fc.integer({ min: -60, max: 60 }) }),
  fc.record({ what: fc.constant('ok' as const), index, dueAt: fc.option(dueAt, { nil: undefined }) }),
  fc.record({ what: fc.constant('fail' as const), index, code: fc.constantFrom(...CODES) }),
  fc.record({ what: fc.constant('info' as const), index }),
  fc.record({
    what: fc.constant('add' as const),
    op: fc.constantFrom('cancel', 'reschedule'),
    at: fc.integer({ min: 1_000, max: 1_100 }),
    code: fc.option(fc.constantFrom(...CODES), { nil: undefined }),
    dueAt,
  }),
  fc.record({ what: fc.constant('status' as const), status: fc.constantFrom(...STATUSES) }),
  fc.record({ what: fc.constant('due' as const), dueAt: fc.option(dueAt, { nil: undefined }) }),
  fc.record({ what: fc.constant('timeline' as const), index, isTwice: fc.boolean() }),
);

export const story = fc.record({
  placedAs: fc.nat({ max: 2 }),
  steps: fc.array(step, { maxLength: 8 }),
  skewMs: fc.nat({ max: 40 }),
  alterations: fc.oneof(fc.constant([]), fc.array(alteration, { minLength: 1, maxLength: 4 })),
});
type Story = typeof story extends fc.Arbitrary<infer T> ? T : never;
type Alteration = Story['alterations'][number];

interface Call {
  readonly process: number;
  readonly op: string;
  from: number;
  to: number;
  /** Undefined if the process never heard of it. */
  outcome: 'ok' | 'fail' | 'info' | undefined;
  value: Record<string, unknown>;
}
interface Draft {
  readonly calls: Call[];
  status: string;
  dueAt: number | undefined;
  readonly timeline: { status: string; at: number }[];
}

/** The lines of a story's history. Without alterations the history is linearizable. */
export function linesOf({ placedAs, steps, skewMs, alterations }: Story): HistoryLine[] {
  const placing = { op: 'place', fate: 'answered', dueAt: 2_000, before: 5, after: 5 } as const;
  const draft = tell([...steps.slice(0, placedAs), placing, ...steps.slice(placedAs)], skewMs);
  for (const one of alterations) alter(draft, one);
  const { calls, status, timeline } = draft;
  const due = draft.dueAt === undefined ? {} : { dueAt: draft.dueAt };
  return [
    { type: 'state', kind: 'run', endedAt: 1_500, skewMs },
    ...calls.flatMap(({ process, op, from, to, outcome, value }): OperationLine[] => [
      { type: 'invoke', process, op, orderId: 'o', at: from },
      ...(outcome ? [{ type: outcome, process, op, orderId: 'o', value, at: to }] : []),
    ]),
    { type: 'state', kind: 'order', orderId: 'o', status, ...due, timeline },
  ];
}

/** The steps happen one after the other. */
function tell(steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[], skewMs: number) {
  const draft: Draft = { calls: [], status: 'ABSENT', dueAt: undefined, timeline: [] };
  let process = 0;
  for (const [n, { op, fate, dueAt, before, after }] of steps.entries()) {
    const at = 1_000 + n * STEP_MS;
    if (op === 'start' || op === 'end') {
      if (draft.status !== 'CREATED' && (op === 'start' || draft.status !== 'PROCESSING')) continue;
      draft.status = op === 'start' ? 'PROCESSING' : 'COMPLETED';
      // The servers' clock is ahead or behind.
      draft.timeline.push({ status: draft.status, at: at + (before % 2 ? skewMs : -skewMs) });
      continue;
    }
    const refusal = HAPPENS.has(fate) ? request(draft, op, dueAt, at) : 'OVERLOADED';
    const isMoved = op === 'place' || op === 'reschedule';
    const answer = refusal ? { code: refusal } : isMoved ? { dueAt: draft.dueAt } : {};
    const outcome = { lost: 'info', away: 'info', silent: undefined, unsent: undefined } as const;
    draft.calls.push({
      process,
      op,
      from: at - before,
      to: at + after,
      outcome: fate in outcome ? outcome[fate as 'lost'] : refusal ? 'fail' : 'ok',
      value: fate in outcome ? {} : answer,
    });
    // A process that never heard of its call makes the next one.
    if (fate !== 'silent' && fate !== 'unsent') process += 1;
  }
  return draft;
}

/** Does what is asked of the order, or returns why not. */
function request(draft: Draft, op: string, dueAt: number, at: number): string | undefined {
  const { status } = draft;
  switch (op) {
    case 'place':
      if (status === 'ABSENT') Object.assign(draft, { status: 'CREATED', dueAt });
      return undefined;
    case 'cancel':
      if (status === 'ABSENT') return 'ORDER_NOT_FOUND';
      if (status === 'COMPLETED') return 'ILLEGAL_TRANSITION';
      if (status !== 'CANCELLED') draft.timeline.push({ status: 'CANCELLED', at });
      draft.status = 'CANCELLED';
      return undefined;
    case 'reschedule':
      if (status === 'ABSENT') return 'ORDER_NOT_FOUND';
      if (status === 'PROCESSING') return 'ALREADY_DISPATCHED';
      if (status !== 'CREATED') return 'ILLEGAL_TRANSITION';
      draft.dueAt = dueAt;
      return undefined;
    default:
      return undefined;
  }
}

function alter(draft: Draft, one: Alteration): void {
  if (one.what === 'status') draft.status = one.status;
  else if (one.what === 'due') draft.dueAt = one.dueAt;
  else if (one.what === 'add') {
    const { op, at, code, dueAt } = one;
    const process = 100 + draft.calls.length;
    const value = code ? { code } : op === 'cancel' ? {} : { dueAt };
    draft.calls.push({ process, op, from: at, to: at, outcome: code ? 'fail' : 'ok', value });
  } else if (one.what === 'timeline') {
    const [step] = draft.timeline.splice(one.index % (draft.timeline.length + 1), 1);
    if (step && one.isTwice) draft.timeline.push(step, step);
  } else {
    const n = one.index % draft.calls.length;
    const call = draft.calls[n];
    if (!call) return;
    if (one.what === 'drop') draft.calls.splice(n, 1);
    else if (one.what === 'move') {
      call.from += one.byMs;
      call.to += one.byMs;
    } else {
      call.outcome = one.what;
      call.value = one.what === 'ok' ? { dueAt: one.dueAt } : one.what === 'fail' ? { code: one.code } : {};
    }
  }
}

/** The sequential specification of an order for cancelling and rescheduling, and the calls that a history makes of it. */
import { by, group, type History, type Operation, type State } from './history.ts';
import { type Call, isLinearizable, type Model } from './linearizability.ts';
import { statusesOf } from './order-invariants.ts';
import { each, hasEnded, type Invariant } from './verdict.ts';

type Phase = 'absent' | 'waiting' | 'started' | 'cancelled' | 'ended';
/** `dueAt` is undefined if the history does not tell it. */
type OrderState = { readonly phase: Phase; readonly dueAt?: number | undefined };

export type Input =
  | { readonly kind: 'place' | 'reschedule' | 'start'; readonly dueAt: number | undefined }
  | { readonly kind: 'cancel' }
  /** The order ended in another way than by a cancellation. */
  | { readonly kind: 'end' }
  /** A request that was refused since the order was in one of these phases. */
  | { readonly kind: 'refused'; readonly in: readonly Phase[] }
  /** The state that was left. */
  | { readonly kind: 'left'; readonly phase: Phase; readonly dueAt: number | undefined };

const MODEL: Model<OrderState, Input> = {
  initial: { phase: 'absent' },
  nameOf: ({ phase, dueAt }) => `${phase} ${dueAt}`,
  step(state, input) {
    const { phase } = state;
    switch (input.kind) {
      case 'place':
        return phase === 'absent' ? { phase: 'waiting', dueAt: input.dueAt } : state;
      case 'reschedule':
        return phase === 'waiting' ? { phase, dueAt: input.dueAt } : undefined;
      case 'start':
        return phase === 'waiting' && agree(state.dueAt, input.dueAt)
          ? { phase: 'started', dueAt: input.dueAt ?? state.dueAt }
          : undefined;
      case 'cancel':
        if (phase === 'cancelled') return state;
        return phase === 'waiting' || phase === 'started' ? { ...state, phase: 'cancelled' } : undefined;
      case 'end':
        return phase === 'waiting' || phase === 'started' ? { ...state, phase: 'ended' } : undefined;
      case 'refused':
        return input.in.includes(phase) ? state : undefined;
      case 'left':
        return phase === input.phase && agree(state.dueAt, input.dueAt) ? state : undefined;
    }
  },
};

function agree(a: number | undefined, b: number | undefined): boolean {
  return a === undefined || b === undefined || a === b;
}

/** The answers that clients got for one order fit one order of events, and the state that was left. */
export const linearizable: Invariant = (history) => {
  const operations = group(history.operations, ({ orderId }) => orderId);
  return each(by(history.states.order, 'orderId').values(), (order) => {
    const own = operations.get(order.orderId);
    if (!own || !order.timeline) return undefined;
    return isLinearizable(callsOf(order, own, history), MODEL)
      ? []
      : [`the answers to ${own.length} requests for order ${order.orderId} fit no order of events`];
  });
};

/** The calls of one order: those of its clients, its start and end as its timeline tells them, and the state that was left. */
function callsOf(order: State<'order'>, operations: readonly Operation[], { run }: History): Call<Input>[] {
  const requests = operations.flatMap((operation) => {
    const input = inputOf(operation);
    const { invokedAt, returnedAt, outcome } = operation;
    return input ? [{ input, invokedAt, returnedAt, isOptional: outcome === 'info' }] : [];
  });
  const steps = statusesOf(order).flatMap(({ status, at }): { input: Input; invokedAt: number }[] => {
    const invokedAt = at - run.skewMs;
    if (status === 'PROCESSING') return [{ input: { kind: 'start', dueAt: order.dueAt }, invokedAt }];
    return hasEnded(status) && status !== 'CANCELLED' ? [{ input: { kind: 'end' }, invokedAt }] : [];
  });
  const times = [...requests, ...steps].map(({ invokedAt }) => invokedAt);
  const returns = requests.map(({ returnedAt }) => returnedAt).filter(Number.isFinite);
  const last = Math.max(run.endedAt, ...times, ...returns);
  const left: Input = { kind: 'left', phase: phaseOf(order.status), dueAt: order.dueAt };
  return [
    ...requests,
    // What the timeline tells was before the state that was left.
    ...steps.map((step) => ({ ...step, returnedAt: last, isOptional: false })),
    { input: left, invokedAt: last + 1, returnedAt: last + 1, isOptional: false },
  ];
}

/** Undefined for an operation that tells nothing about the order's state. */
function inputOf({ op, outcome, answer }: Operation): Input | undefined {
  const dueAt = typeof answer.dueAt === 'number' ? answer.dueAt : undefined;
  if (outcome === 'fail') {
    if (op !== 'cancel' && op !== 'reschedule') return undefined;
    const phases = REFUSED_IN[`${op} ${answer.code}`];
    return phases && { kind: 'refused', in: phases };
  }
  switch (op) {
    case 'place':
    case 'reschedule':
      return { kind: op, dueAt };
    case 'cancel':
      return { kind: op };
    default:
      return undefined;
  }
}

/** What a refusal says about the order; other refusals, such as of a full server, say nothing. */
const REFUSED_IN: Readonly<Record<string, readonly Phase[]>> = {
  'cancel ILLEGAL_TRANSITION': ['ended'],
  'cancel ORDER_NOT_FOUND': ['absent'],
  'reschedule ALREADY_DISPATCHED': ['started'],
  'reschedule ILLEGAL_TRANSITION': ['ended', 'cancelled'],
  'reschedule ORDER_NOT_FOUND': ['absent'],
};

function phaseOf(status: string): Phase {
  if (status === 'CREATED') return 'waiting';
  if (status === 'CANCELLED') return 'cancelled';
  return hasEnded(status) ? 'ended' : 'started';
}

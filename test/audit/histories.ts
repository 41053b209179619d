/** Hand-made histories: one in which everything holds, and one for each invariant that breaks exactly that. */
import type { InvariantName } from '../../cmd/audit/audit.ts';
import type { HistoryLine, OperationLine, StateLine } from '../../cmd/audit/history.ts';

export type Value = Record<string, unknown>;

let processes = 0;

/** An operation of a process of its own, from `from` to `to`; `asked` and `answer` are its values. */
export function operation(
  type: 'ok' | 'fail' | 'info',
  op: string,
  orderId: string,
  [from, to]: readonly [number, number],
  { asked = {}, answer = {} }: { asked?: Value; answer?: Value } = {},
): OperationLine[] {
  processes += 1;
  const call = { process: processes, op, orderId };
  return [
    { ...call, type: 'invoke', value: asked, at: from },
    { ...call, type, value: answer, at: to },
  ];
}

/** The row of an order whose timeline has the statuses at these times, in steps of 100 ms from 1,000 on. */
export function order(orderId: string, statuses: readonly string[], more: Value = {}): StateLine {
  return {
    type: 'state',
    kind: 'order',
    orderId,
    status: statuses.at(-1) as string,
    dueAt: 1_000,
    hasItems: false,
    version: statuses.length,
    timeline: statuses.map((status, n) => ({ status, at: 1_000 + 100 * n })),
    ...more,
  };
}

export function event(orderId: string, eventType: string, eventId: string, more: Value = {}): StateLine {
  return { type: 'state', kind: 'event', orderId, eventType, eventId, at: 1_100, ...more };
}

const LIMITS = {
  dispatch: 1_000,
  processing: 1_000,
  acceptance: 1_000,
  rider: 1_000,
  collection: 1_000,
  pickUp: 1_000,
  delivery: 1_000,
};

const paid = (orderId: string, state: string, capturedMinor: number): StateLine => ({
  type: 'state',
  kind: 'payment',
  orderId,
  state,
  authorizedMinor: 500,
  capturedMinor,
  refundedMinor: 0,
});

const authorization = (orderId: string, authorizationId: string, more: Value = {}): StateLine => ({
  type: 'state',
  kind: 'authorization',
  orderId,
  authorizationId,
  authorizedMinor: 500,
  capturedMinor: 0,
  refundedMinor: 0,
  isVoided: false,
  ...more,
});

/** A paid order that was completed, one that was cancelled in time, and one that was cancelled while it was processed. */
export const HEALTHY: readonly HistoryLine[] = [
  { type: 'state', kind: 'run', endedAt: 60_000, limits: LIMITS },
  ...operation('ok', 'place', 'paid', [990, 1_000], { answer: { dueAt: 1_000 } }),
  order('paid', ['CREATED', 'PROCESSING', 'CONFIRMED', 'COMPLETED'], { hasItems: true, totalMinor: 500 }),
  event('paid', 'order.created', 'e1', { version: 1, dueAt: 1_000 }),
  event('paid', 'order.ready', 'e2', { dueAt: 1_000 }),
  event('paid', 'order.processing', 'e3', { version: 2 }),
  event('paid', 'order.processing', 'e3', { version: 2 }),
  event('paid', 'order.confirmed', 'e4', { version: 3 }),
  event('paid', 'order.completed', 'e5', { version: 4 }),
  paid('paid', 'CAPTURED', 500),
  authorization('paid', 'a1', { capturedMinor: 500 }),
  { type: 'state', kind: 'stock', itemId: 'rice', initial: 10, left: 8 },
  {
    type: 'state',
    kind: 'reservation',
    orderId: 'paid',
    state: 'reserved',
    lines: [{ itemId: 'rice', quantity: 2 }],
  },
  ...operation('ok', 'place', 'early', [990, 1_000], { answer: { dueAt: 5_000 } }),
  ...operation('ok', 'reschedule', 'early', [1_010, 1_020], { answer: { dueAt: 6_000 } }),
  ...operation('ok', 'cancel', 'early', [1_090, 1_110]),
  order('early', ['CREATED', 'CANCELLED'], { dueAt: 6_000 }),
  ...operation('ok', 'place', 'raced', [990, 1_000], { answer: { dueAt: 1_000 } }),
  ...operation('ok', 'cancel', 'raced', [1_090, 1_210]),
  ...operation('fail', 'reschedule', 'raced', [1_150, 1_160], { answer: { code: 'ALREADY_DISPATCHED' } }),
  order('raced', ['CREATED', 'PROCESSING', 'CANCELLED']),
  paid('raced', 'VOIDED', 0),
  authorization('raced', 'a2', { isVoided: true }),
  { type: 'state', kind: 'consumer', consumer: 'stock', types: ['order.processing'], marks: false },
  { type: 'state', kind: 'consumer', consumer: 'kitchen', types: ['order.confirmed'], marks: true },
  { type: 'state', kind: 'processed', consumer: 'kitchen', eventId: 'e4' },
  { type: 'state', kind: 'message', orderId: 'paid', template: 'ORDER_COMPLETED' },
  { type: 'state', kind: 'view', orderId: 'paid', source: 'live', value: { status: 'COMPLETED' } },
  { type: 'state', kind: 'view', orderId: 'paid', source: 'rebuilt', value: { status: 'COMPLETED' } },
];

/** What is added to the healthy history to break one invariant. */
export const BREAKS: Readonly<Record<InvariantName, readonly HistoryLine[]>> = {
  'acknowledged-orders-exist': operation('ok', 'place', 'lost', [1_000, 1_010]),
  'ended-by-deadline': [order('stuck', ['CREATED', 'PROCESSING'])],
  'one-live-authorization': [authorization('paid', 'a3')],
  'captured-within-authorized': [
    { ...paid('over', 'CAPTURED', 700), kind: 'payment' } as StateLine,
    order('over', ['CREATED', 'PROCESSING', 'CONFIRMED', 'COMPLETED'], { hasItems: true, totalMinor: 700 }),
  ],
  'money-follows-the-order': [order('gone', ['CREATED', 'CANCELLED']), paid('gone', 'AUTHORIZED', 0)],
  'stock-conserved': [{ type: 'state', kind: 'stock', itemId: 'bread', initial: 5, left: 6 }],
  'legal-transitions': [order('jump', ['CREATED', 'PROCESSING', 'DELIVERED'])],
  'versions-without-gap': [order('gap', ['CREATED', 'PROCESSING', 'COMPLETED'], { version: 4 })],
  'none-before-its-time': [order('soon', ['CREATED', 'PROCESSING', 'COMPLETED'], { dueAt: 1_101 })],
  'processed-once': [
    order('twice', ['CREATED', 'PROCESSING', 'COMPLETED']),
    event('twice', 'order.processing', 'e6'),
    event('twice', 'order.processing', 'e7'),
  ],
  'none-after-cancel': [
    ...operation('ok', 'cancel', 'late', [1_000, 1_010]),
    { type: 'state', kind: 'order', orderId: 'late', status: 'COMPLETED' },
  ],
  'views-rebuild-equal': [
    { type: 'state', kind: 'view', orderId: 'raced', source: 'live', value: { status: 'PROCESSING' } },
    { type: 'state', kind: 'view', orderId: 'raced', source: 'rebuilt', value: { status: 'CANCELLED' } },
  ],
  'one-message-each': [{ type: 'state', kind: 'message', orderId: 'paid', template: 'ORDER_COMPLETED' }],
  'events-accounted-for': [event('paid', 'order.confirmed', 'e8')],
  linearizable: [
    ...operation('ok', 'reschedule', 'moved', [1_200, 1_210], { answer: { dueAt: 9_000 } }),
    order('moved', ['CREATED', 'PROCESSING', 'COMPLETED']),
  ],
};

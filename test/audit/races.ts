/** Hand-made races of one order, and whether the answers that clients got are linearizable; Porcupine gets the same ones. */
import type { HistoryLine } from '../../cmd/audit/history.ts';
import { operation, order } from './histories.ts';

const placed = operation('ok', 'place', 'o', [900, 910], { answer: { dueAt: 1_000 } });
const refused = (code: string) => ({ answer: { code } });
const moved = (dueAt: number) => ({ answer: { dueAt } });
/** The order started at 1,100 and completed at 1,200. */
const completed = order('o', ['CREATED', 'PROCESSING', 'COMPLETED']);
const cancelledEarly = order('o', ['CREATED', 'CANCELLED']);

type Race = readonly [what: string, expected: boolean, lines: readonly HistoryLine[]];

export const RACES: readonly Race[] = [
  ['an order that nobody touches', true, [...placed, completed]],
  [
    'a cancellation while the order starts',
    true,
    [
      ...placed,
      ...operation('ok', 'cancel', 'o', [1_090, 1_250]),
      order('o', ['CREATED', 'PROCESSING', 'CANCELLED']),
    ],
  ],
  [
    'an acknowledged cancellation of an order that completed',
    false,
    [...placed, ...operation('ok', 'cancel', 'o', [1_000, 1_010]), completed],
  ],
  [
    'a cancellation without an answer that took effect',
    true,
    [...placed, ...operation('info', 'cancel', 'o', [1_000, 1_010]), cancelledEarly],
  ],
  [
    'a cancellation without an answer that did not take effect',
    true,
    [...placed, ...operation('info', 'cancel', 'o', [1_000, 1_010]), completed],
  ],
  [
    'an order that completed and still waits',
    false,
    [...placed, order('o', ['CREATED', 'PROCESSING', 'COMPLETED'], { status: 'CREATED' })],
  ],
  ['a cancelled order that nobody cancelled', false, [...placed, cancelledEarly]],
  [
    'a cancellation that was refused and took effect',
    false,
    [...placed, ...operation('fail', 'cancel', 'o', [1_000, 1_010], refused('OVERLOADED')), cancelledEarly],
  ],
  [
    'a cancellation that was refused before the order ended',
    false,
    [
      ...placed,
      ...operation('fail', 'cancel', 'o', [1_000, 1_010], refused('ILLEGAL_TRANSITION')),
      completed,
    ],
  ],
  [
    'a cancellation that was refused after the order ended',
    true,
    [
      ...placed,
      ...operation('fail', 'cancel', 'o', [1_190, 1_210], refused('ILLEGAL_TRANSITION')),
      completed,
    ],
  ],
  [
    'a rescheduling that was refused before the order started',
    false,
    [
      ...placed,
      ...operation('fail', 'reschedule', 'o', [1_000, 1_010], refused('ALREADY_DISPATCHED')),
      completed,
    ],
  ],
  [
    'a rescheduling that was refused after the order started',
    true,
    [
      ...placed,
      ...operation('fail', 'reschedule', 'o', [1_050, 1_150], refused('ALREADY_DISPATCHED')),
      completed,
    ],
  ],
  ...[40, 60].map(
    (skewMs): Race => [
      `a rescheduling that was refused 50 ms before the order started, with clocks ${skewMs} ms apart,`,
      skewMs > 50,
      [
        { type: 'state', kind: 'run', endedAt: 2_000, skewMs },
        ...placed,
        ...operation('fail', 'reschedule', 'o', [1_040, 1_050], refused('ALREADY_DISPATCHED')),
        completed,
      ],
    ],
  ),
  [
    'a rescheduling to the same time after the order had started',
    false,
    [
      ...placed,
      ...operation('fail', 'reschedule', 'o', [1_050, 1_150], refused('ALREADY_DISPATCHED')),
      ...operation('ok', 'reschedule', 'o', [1_160, 1_170], moved(1_000)),
      completed,
    ],
  ],
  [
    'an acknowledged rescheduling that was forgotten',
    false,
    [...placed, ...operation('ok', 'reschedule', 'o', [950, 960], moved(5_000)), completed],
  ],
  [
    'two reschedulings at once, of which the first call won',
    true,
    [
      ...placed,
      ...operation('ok', 'reschedule', 'o', [950, 960], moved(1_000)),
      ...operation('ok', 'reschedule', 'o', [955, 965], moved(5_000)),
      completed,
    ],
  ],
  [
    'two reschedulings one after the other, of which the first won',
    false,
    [
      ...placed,
      ...operation('ok', 'reschedule', 'o', [950, 960], moved(1_000)),
      ...operation('ok', 'reschedule', 'o', [970, 980], moved(5_000)),
      completed,
    ],
  ],
  [
    'a rescheduling without an answer that took effect',
    true,
    [
      ...placed,
      ...operation('info', 'reschedule', 'o', [950, 960], { asked: { dueAt: 1_050 } }),
      order('o', ['CREATED', 'PROCESSING', 'COMPLETED'], { dueAt: 1_050 }),
    ],
  ],
  [
    'an acknowledged rescheduling after an acknowledged cancellation',
    false,
    [
      ...placed,
      ...operation('ok', 'cancel', 'o', [950, 960]),
      ...operation('ok', 'reschedule', 'o', [970, 980], moved(5_000)),
      order('o', ['CREATED', 'CANCELLED'], { dueAt: 5_000 }),
    ],
  ],
  [
    'a crowd of requests without answers and an impossible end',
    false,
    [
      ...placed,
      ...Array.from({ length: 12 }, (_, n) =>
        operation('info', 'reschedule', 'o', [920, 930], { asked: { dueAt: 2_000 + n } }),
      ).flat(),
      ...operation('ok', 'cancel', 'o', [940, 950]),
      completed,
    ],
  ],
];

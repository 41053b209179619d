/** The history of a run as JSON lines: what clients asked and heard, and the state that was left. docs/testing.md describes it. */
import { z } from 'zod';

/** Epoch ms. */
const at = z.number();
const minor = z.int();
const lines = z.array(z.object({ itemId: z.string(), quantity: z.int().positive() }));

const OPERATION = z.object({
  type: z.enum(['invoke', 'ok', 'fail', 'info']),
  process: z.union([z.int(), z.string()]),
  op: z.string(),
  orderId: z.string(),
  value: z.record(z.string(), z.unknown()).optional(),
  at,
});

/** The longest time in each waiting state, milliseconds; `dispatch` is the time after the due time. */
const LIMITS = z.object({
  dispatch: z.number(),
  processing: z.number(),
  acceptance: z.number(),
  rider: z.number(),
  collection: z.number(),
  pickUp: z.number(),
  delivery: z.number(),
});

const STATES = {
  run: z.object({
    endedAt: at,
    /** Without limits every order must have ended. */
    limits: LIMITS.optional(),
    /** What the faults of the run may add to each limit. */
    graceMs: z.number().default(0),
    /** How far the clocks of clients and servers may be apart. */
    skewMs: z.number().default(0),
  }),
  order: z.object({
    orderId: z.string(),
    status: z.string(),
    reason: z.string().optional(),
    dueAt: at.optional(),
    totalMinor: minor.optional(),
    hasItems: z.boolean().optional(),
    restaurantId: z.string().optional(),
    isDelivered: z.boolean().optional(),
    version: z.int().optional(),
    timeline: z
      .array(z.object({ status: z.string().optional(), fact: z.string().optional(), at }))
      .optional(),
  }),
  /** A row of the event log. */
  event: z.object({
    eventId: z.string(),
    eventType: z.string(),
    orderId: z.string(),
    at,
    version: z.int().optional(),
    dueAt: at.optional(),
  }),
  payment: z.object({
    orderId: z.string(),
    state: z.string(),
    authorizedMinor: minor,
    capturedMinor: minor,
    refundedMinor: minor,
  }),
  /** An authorization in the books of the payment provider. */
  authorization: z.object({
    orderId: z.string(),
    authorizationId: z.string(),
    authorizedMinor: minor,
    capturedMinor: minor,
    refundedMinor: minor,
    isVoided: z.boolean(),
  }),
  stock: z.object({ itemId: z.string(), initial: z.int(), left: z.int() }),
  reservation: z.object({ orderId: z.string(), state: z.string(), lines }),
  /** A message that the notification provider delivered; one line for each delivery. */
  message: z.object({ orderId: z.string(), template: z.string() }),
  'dead-letter': z.object({ consumer: z.string(), eventId: z.string(), orderId: z.string() }),
  processed: z.object({ consumer: z.string(), eventId: z.string() }),
  /** A consumer, the events it reads, and whether it marks them as processed. */
  consumer: z.object({ consumer: z.string(), types: z.array(z.string()), marks: z.boolean() }),
  view: z.object({
    orderId: z.string(),
    source: z.enum(['live', 'rebuilt']),
    value: z.unknown(),
  }),
  /** Something that the run reached, such as a fault; counted as coverage. */
  mark: z.object({ name: z.string(), count: z.int().default(1) }),
} as const;

export type Kind = keyof typeof STATES;
export type State<K extends Kind> = z.infer<(typeof STATES)[K]>;
export type OperationLine = z.infer<typeof OPERATION>;
export type StateLine = { [K in Kind]: { type: 'state'; kind: K } & z.input<(typeof STATES)[K]> }[Kind];
export type HistoryLine = OperationLine | StateLine;

/** An operation of a client from its call to its outcome. */
export interface Operation {
  readonly process: number | string;
  readonly op: string;
  readonly orderId: string;
  /** `info`: it may or may not have taken effect, at any time after the call. */
  readonly outcome: 'ok' | 'fail' | 'info';
  readonly asked: Readonly<Record<string, unknown>>;
  readonly answer: Readonly<Record<string, unknown>>;
  readonly invokedAt: number;
  /** Infinity if the outcome is unknown. */
  readonly returnedAt: number;
}

export interface History {
  readonly operations: readonly Operation[];
  readonly run: State<'run'>;
  readonly states: { readonly [K in Kind]: readonly State<K>[] };
}

/** Reads a file of JSON lines. Throws an Error that names the first invalid line. */
export function readHistory(text: string): History {
  const parsed = text.split('\n').flatMap((line, n) => (line.trim() === '' ? [] : parseLine(line, n + 1)));
  return historyOf(parsed);
}

function parseLine(text: string, n: number): HistoryLine {
  try {
    const line = JSON.parse(text);
    if (line.type !== 'state') return OPERATION.parse(line);
    const schema = STATES[line.kind as Kind];
    if (!schema) throw new Error(`there is no state of kind '${line.kind}'`);
    return { type: 'state', kind: line.kind, ...(schema.parse(line) as object) } as StateLine;
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new Error(`line ${n} of the history: ${why}`);
  }
}

/** The history of lines that are known to be valid. */
export function historyOf(lines: readonly HistoryLine[]): History {
  const states = Object.fromEntries(Object.keys(STATES).map((kind) => [kind, [] as StateLine[]]));
  const calls: OperationLine[] = [];
  for (const line of lines) {
    if (line.type === 'state') states[line.kind]?.push(line);
    else calls.push(line);
  }
  const last = Math.max(0, ...calls.map((line) => line.at));
  const run = { endedAt: last, graceMs: 0, skewMs: 0, ...(states.run?.[0] as object | undefined) };
  return { operations: pair(calls), run, states: states as unknown as History['states'] };
}

/** A process has one operation at a time, so an outcome belongs to the last call of its process. */
function pair(calls: readonly OperationLine[]): Operation[] {
  const open = new Map<number | string, OperationLine>();
  const operations: Operation[] = [];
  const end = (call: OperationLine, result?: OperationLine) =>
    operations.push({
      process: call.process,
      op: call.op,
      orderId: call.orderId,
      outcome: result && result.type !== 'invoke' ? result.type : 'info',
      asked: call.value ?? {},
      answer: result?.value ?? {},
      invokedAt: call.at,
      returnedAt: result && result.type !== 'info' ? result.at : Number.POSITIVE_INFINITY,
    });
  for (const line of calls) {
    const call = open.get(line.process);
    if (line.type === 'invoke') {
      if (call) end(call);
      open.set(line.process, line);
    } else {
      if (!call) throw new Error(`process ${line.process} heard of ${line.op} without a call`);
      end(call, line);
      open.delete(line.process);
    }
  }
  for (const call of open.values()) end(call);
  return operations;
}

/** The rows by a field, which is unique or of which the last one counts. */
export function by<K extends string, R extends Readonly<Record<K, string>>>(
  rows: readonly R[],
  field: K,
): Map<string, R> {
  return new Map(rows.map((row) => [row[field], row]));
}

export function group<R>(rows: readonly R[], nameOf: (row: R) => string): Map<string, R[]> {
  const groups = new Map<string, R[]>();
  for (const row of rows) {
    const name = nameOf(row);
    const found = groups.get(name);
    if (found) found.push(row);
    else groups.set(name, [row]);
  }
  return groups;
}

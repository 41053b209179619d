/** Records that no producer should send: JSON of every shape near an event's, and bytes that are no JSON. */
import fc from 'fast-check';
import { ENVELOPE, type EventType, PAYLOADS } from '../../internal/domain/events.ts';
import { typesOn } from '../../internal/domain/topics.ts';

/** Replaced in the JSON text, since JavaScript cannot hold them as values. */
const HUGE = '"<huge number>"';
const MEGABYTE = 'x'.repeat(1_000_000);

const time = fc.constantFrom('2026-11-27T10:00:00Z', '2026-11-27t10:00:60z', '+275760-09-13T00:00:00Z', '');
/** Values that break careless reading: no primitive to convert to, no Unicode text, no finite number, no end. */
const hostile = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<unknown>({ toString: 1 }, { valueOf: null, toString: null }) },
  { weight: 2, arbitrary: fc.constantFrom<unknown>('\ud800', 'a\u0000b', '\u001e\u001f', '<huge number>') },
  { weight: 2, arbitrary: fc.constantFrom<unknown>(null, true, -1, 1e308, '', [], {}, [[]], { length: -1 }) },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<unknown> },
  {
    weight: 1,
    arbitrary: fc.constant<unknown>(JSON.parse('{"__proto__": {"eventType": 1}, "constructor": 1}')),
  },
);
const field = (valid: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 3, arbitrary: valid }, { weight: 1, arbitrary: hostile });
const id = fc.constantFrom('ghost-1', 'ghost-2', '', 'a b', '../x');

/** An envelope whose every field may be hostile, with a payload that has the field names of some event type. */
function nearEvents(topic: string): fc.Arbitrary<unknown> {
  const types = typesOn(topic).length > 0 ? typesOn(topic) : (Object.keys(PAYLOADS) as EventType[]);
  return fc.constantFrom(...types).chain((type) => {
    const payload = Object.fromEntries(Object.keys(PAYLOADS[type].shape).map((name) => [name, field(time)]));
    const envelope = Object.fromEntries(
      Object.keys(ENVELOPE.shape).map((name) => [name, field(fc.string())]),
    );
    const known = {
      eventId: field(fc.uuid()),
      eventType: field(fc.constant(type)),
      schemaVersion: field(fc.constant(1)),
      occurredAt: field(time),
      producedAt: field(time),
      orderId: field(id),
      payload: field(fc.record(payload, { requiredKeys: [] })),
    };
    return fc.record({ ...envelope, ...known }, { requiredKeys: [] });
  });
}

/** Flat records with the field names that other systems use. */
const flat = fc.record(
  Object.fromEntries(
    ['orderId', 'order_id', 'status', 'action', 'riderId', 'assignedAt', 'ready_at', 'items', 'user_id'].map(
      (name) => [name, field(name === 'items' ? fc.array(hostile) : id)],
    ),
  ),
  { requiredKeys: [] },
);

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const text = (value: unknown) => (JSON.stringify(value) ?? 'null').replaceAll(HUGE, '1e400');
const fixed = [
  'null',
  '',
  'not json',
  '{"a":',
  nested(5_000),
  `"${MEGABYTE}"`,
  '1e400',
  '"\\ud800"',
  '\ufeff{}',
];

/** `count` values for the topic, JSON mostly. The same seed gives the same values. */
export function hostileValues(topic: string, count: number, seed: number): string[] {
  const near = fc.sample(fc.oneof(nearEvents(topic), flat, hostile), { numRuns: count, seed }).map(text);
  return [...fixed, ...near];
}

/** Bytes of any kind, for a stream that carries bytes. */
export function hostileBytes(count: number, seed: number): Buffer[] {
  return fc
    .sample(fc.uint8Array({ maxLength: 200 }), { numRuns: count, seed })
    .map((bytes) => Buffer.from(bytes));
}

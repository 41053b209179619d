/** A consumer of order.processing with an in-memory store, and records that it cannot handle. */
import type { Event } from '../../internal/domain/events.ts';
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import type { AnyConsumer, Consumer } from '../../internal/service/stream/consumer.ts';
import type { Delivery } from '../../internal/service/stream/ports.ts';
import { type ReplayDeps, replayLetters } from '../../internal/service/stream/replay-letters.ts';
import { processingEvent, readyEvent } from './builders.ts';
import { memoryStore } from './in-memory.ts';
import { deliveryOf } from './in-memory-bus.ts';
import { manualClock, NOON } from './manual-clock.ts';
import { recordingLog, recordingMeter } from './recording-log.ts';

export type Step = Consumer<'order.processing', string>;

/** A consumer that appends one event for each event it applies, so that the tests see effects and rollbacks. */
export function consuming(changes: Partial<Step> = {}) {
  const store = memoryStore();
  const log = recordingLog();
  const meter = recordingMeter();
  const deps: ReplayDeps = { ...store, clock: manualClock(), log, meter };
  const performed: string[][] = [];
  const applied: string[][] = [];
  const consumer: Step = {
    name: 'tester',
    topics: ['raw.order-events'],
    types: ['order.processing'],
    async perform(events) {
      performed.push(events.map(({ eventId }) => eventId));
      return 'performed';
    },
    async apply(_tx, events) {
      applied.push(events.map(({ eventId }) => eventId));
      return events.map(({ orderId, eventId }) => readyEvent(orderId, NOON, `effect of ${eventId}`));
    },
    ...changes,
  };
  let settled = 0;
  const { handle } = subscriptionOf(deps, consumer as AnyConsumer);
  return {
    store,
    deps,
    log,
    meter,
    performed,
    applied,
    consumer: consumer as AnyConsumer,
    settled: () => settled,
    /** Delivers events, or other records. */
    deliver: (...records: (Event | Delivery)[]) =>
      handle({
        deliveries: records.map((record) =>
          'topic' in record ? record : deliveryOf(record, 'raw.order-events'),
        ),
        async settle() {
          settled += 1;
        },
      }),
    effects: () => store.bus.events.map(({ eventId }) => eventId.replace('effect of ', '')),
    letters: () => store.tables.letters.map(({ orderId, eventId, error }) => [orderId, eventId, error]),
    replay: () => replayLetters(deps, consumer as AnyConsumer),
    firstLetter: async () => (await store.deadLetters.list({ limit: 1 }))[0]?.id ?? 'none',
  };
}

export const event = (id: string, orderId = `order of ${id}`) => processingEvent(orderId, id);
export const junk = (position: string, key: string, record: unknown = 'not json'): Delivery => ({
  topic: 'raw.order-events',
  key,
  position,
  record,
});

/** `refuse` throws when it gets one of these events, while `state.on` is true. */
export function poison(
  ids: readonly string[],
  fault: () => Error = () => new RangeError('cannot stomach this'),
) {
  const state = { on: true, attempts: 0 };
  const refuse = (events: readonly Event[]) => {
    if (!state.on || !events.some(({ eventId }) => ids.includes(eventId))) return;
    state.attempts += 1;
    throw fault();
  };
  return { state, refuse };
}

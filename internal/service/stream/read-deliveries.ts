/** Parses deliveries as events, and turns unreadable records into dead letters. */
import { type Event, type EventType, parseEvent } from '../../domain/events.ts';
import type { NewDeadLetter } from '../ports.ts';
import type { AnyConsumer } from './consumer.ts';
import type { Delivery } from './ports.ts';

/** Events that are handled together; an unreadable record ends the run, so that it keeps its place in the order. */
export interface Run {
  readonly events: readonly Event[];
  /** The unreadable record that ended the run; absent in the last run. */
  readonly poison?: NewDeadLetter;
}

/** The deliveries as runs; an event that is repeated within a run is in it once. */
export function readDeliveries(consumer: AnyConsumer, deliveries: readonly Delivery[]): Run[] {
  const runs: Run[] = [];
  let events = new Map<string, Event>();
  for (const delivery of deliveries) {
    const parsed = consumer.read ? consumer.read(delivery) : parseDelivery(consumer, delivery);
    if (!parsed) continue;
    if ('event' in parsed) events.set(parsed.event.eventId, parsed.event);
    else {
      runs.push({ events: [...events.values()], poison: unreadable(consumer, delivery, parsed.fault) });
      events = new Map();
    }
  }
  return [...runs, { events: [...events.values()] }];
}

function parseDelivery(consumer: AnyConsumer, delivery: Delivery) {
  const { record } = delivery;
  const type = (record as { eventType?: unknown } | null)?.eventType;
  // Skipped unparsed: a type that this consumer does not handle may be newer than this program.
  if (typeof type === 'string' && !consumer.types.includes(type as EventType)) return undefined;
  delivery.parsed ??= parseEvent(record);
  return delivery.parsed;
}

/** The event as a row of the dead letters; without an `error` it is a parked event. */
export function letterOf(consumer: AnyConsumer, event: Event): NewDeadLetter {
  const { eventId, orderId } = event;
  return {
    consumer: consumer.name,
    eventId,
    orderId,
    topic: consumer.topics[0] ?? '',
    record: event,
    retryCount: 0,
  };
}

function unreadable(
  consumer: AnyConsumer,
  { topic, key, position, record }: Delivery,
  error: string,
): NewDeadLetter {
  const eventId = `${topic}/${position}`.slice(0, 128);
  return { consumer: consumer.name, eventId, orderId: key.slice(0, 64), topic, record, error, retryCount: 0 };
}

/** The position of an unreadable record, from its dead letter. */
export function positionOf({ topic, eventId }: NewDeadLetter): string {
  return eventId.slice(topic.length + 1);
}

/** Reads what came off a topic as events, and sets apart what cannot be read. */
import { type Event, type EventType, parseEvent } from '../../domain/events.ts';
import type { NewDeadLetter } from '../ports.ts';
import type { AnyConsumer } from './consumer.ts';
import type { Delivery } from './ports.ts';

/** Events that may be handled together; a record that cannot be read ends the run, so that it holds its place in the order. */
export interface Run {
  readonly events: readonly Event[];
  /** Absent in the last run, and only there. */
  readonly poison?: NewDeadLetter;
}

/** An event that is repeated within a run stands in it once. */
export function readDeliveries(consumer: AnyConsumer, deliveries: readonly Delivery[]): Run[] {
  const runs: Run[] = [];
  let events = new Map<string, Event>();
  for (const delivery of deliveries) {
    const parsed = consumer.read ? consumer.read(delivery) : readOwn(consumer, delivery);
    if (!parsed) continue;
    if ('event' in parsed) events.set(parsed.event.eventId, parsed.event);
    else {
      runs.push({ events: [...events.values()], poison: unreadable(consumer, delivery, parsed.fault) });
      events = new Map();
    }
  }
  return [...runs, { events: [...events.values()] }];
}

function readOwn(consumer: AnyConsumer, delivery: Delivery) {
  const { record } = delivery;
  const type = (record as { eventType?: unknown } | null)?.eventType;
  // A type this consumer does not handle may well be newer than this program.
  if (typeof type === 'string' && !consumer.types.includes(type as EventType)) return undefined;
  delivery.parsed ??= parseEvent(record);
  return delivery.parsed;
}

/** The event as a letter that is parked behind another. */
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

/** Where the record of an unreadable letter stood. */
export function positionOf({ topic, eventId }: NewDeadLetter): string {
  return eventId.slice(topic.length + 1);
}

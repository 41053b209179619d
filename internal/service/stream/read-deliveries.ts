/** Parses deliveries as events, and turns unreadable records into dead letters. */
import { faultOf } from '../../domain/errors.ts';
import { type Event, isEventType } from '../../domain/events.ts';
import { TOPICS } from '../../domain/topics.ts';
import type { NewDeadLetter } from '../ports.ts';
import type { AnyConsumer } from './consumer.ts';
import { readEvent, withinTenYears } from './external-records.ts';
import type { Delivery } from './ports.ts';

/** What a batch holds for a consumer. */
export interface Reading {
  /** An event that is repeated in the batch is here once. */
  readonly events: readonly Event[];
  /** The dead letters of the records that cannot be read. */
  readonly unreadable: readonly NewDeadLetter[];
  /** The event as a row of the dead letters; without an `error` it is a parked event. */
  letterOf(event: Event): NewDeadLetter;
}

export function readDeliveries(consumer: AnyConsumer, deliveries: readonly Delivery[], now: number): Reading {
  const events = new Map<string, Event>();
  const topics = new Map<Event, string>();
  const unreadable: NewDeadLetter[] = [];
  for (const delivery of deliveries) {
    const parsed = readDelivery(consumer, delivery, now);
    if (!parsed) continue;
    if ('fault' in parsed) {
      unreadable.push(unreadableLetter(consumer, delivery, parsed.fault));
    } else {
      events.set(parsed.event.eventId, parsed.event);
      topics.set(parsed.event, topicOf(consumer, delivery.topic, parsed.event.eventType));
    }
  }
  return {
    events: [...events.values()],
    unreadable,
    letterOf: (event) => ({
      consumer: consumer.name,
      eventId: event.eventId,
      orderId: event.orderId,
      topic: topics.get(event) ?? '',
      record: event,
      retryCount: 0,
    }),
  };
}

/** The event in a delivery; undefined for one to skip. An error of reading is a fault of this record alone. */
export function readDelivery(consumer: AnyConsumer, delivery: Delivery, now: number) {
  try {
    const parsed = consumer.read ? consumer.read(delivery) : readEvent(delivery, consumer.types);
    return withinTenYears(parsed, now);
  } catch (error) {
    return { fault: `the record cannot be read: ${faultOf(error)}` };
  }
}

/** The topic that a record came from. Of an event, the event log tells the type instead: then the consumer's topic for it. */
function topicOf({ topics }: AnyConsumer, delivered: string, eventType: string): string {
  if (topics.includes(delivered) || !isEventType(eventType)) return delivered;
  return topics.find((topic) => TOPICS[eventType].includes(topic)) ?? delivered;
}

/** Belongs to no order, whatever its key is, so that no event is parked behind it. */
function unreadableLetter(
  consumer: AnyConsumer,
  { topic: delivered, key, position, record }: Delivery,
  error: string,
): NewDeadLetter {
  const topic = topicOf(consumer, delivered, delivered);
  const eventId = `${topic}/${position}`.slice(0, 128);
  const orderId = eventId.slice(0, 64);
  return { consumer: consumer.name, eventId, orderId, key, topic, record, error, retryCount: 0 };
}

/** The position of an unreadable record, from its dead letter. */
export function positionOf({ topic, eventId }: NewDeadLetter): string {
  return eventId.slice(topic.length + 1);
}

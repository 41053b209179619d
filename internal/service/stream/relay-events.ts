/** Relays the event log to a broker's topics, in the order of the log, with a cursor of its own. */
import { type Event, isEventType } from '../../domain/events.ts';
import { toRecord } from '../../domain/records.ts';
import { ALL_TOPICS, INBOUND_TOPICS, TOPICS, topicsOf } from '../../domain/topics.ts';
import type { Delivery, OutgoingRecord, Subscription } from './ports.ts';
import { type ReadLogDeps, readLog } from './read-log.ts';
import { RELAY, type RefusedDeps, type RelayedRecord, sendAll } from './refused-records.ts';

export type RelayDeps = ReadLogDeps & RefusedDeps;

export interface RelayOptions {
  /** Topics to which nothing is sent. */
  readonly disabledTopics?: ReadonlySet<string>;
  readonly batchSize?: number;
}

/** One round of the relay: sends a page of the log, then moves the cursor; returns the milliseconds to sleep. */
export function relayEvents(deps: RelayDeps, options: RelayOptions = {}): () => Promise<number> {
  const { disabledTopics = new Set<string>(), batchSize } = options;
  const subscription: Subscription = {
    group: RELAY,
    topics: ALL_TOPICS.filter((topic) => !INBOUND_TOPICS.includes(topic) && !disabledTopics.has(topic)),
    types: Object.keys(TOPICS),
    ...(batchSize === undefined ? {} : { batchSize }),
    async handle({ deliveries, settle }) {
      await sendAll(
        deps,
        deliveries.flatMap((delivery) => recordsOf(delivery, disabledTopics)),
      );
      await deps.transactions.run(settle);
      deps.meter.count('events_relayed', deliveries.length);
    },
  };
  return readLog(deps, subscription);
}

/** The records of an event: one for each topic of its type. */
export function eventRecords(event: Event, disabledTopics?: ReadonlySet<string>): OutgoingRecord[] {
  const headers = {
    eventType: event.eventType,
    eventId: event.eventId,
    'content-type': 'application/json',
  };
  return topicsOf(event)
    .filter((topic) => !disabledTopics?.has(topic))
    .map((topic) => ({ topic, key: event.orderId, value: toRecord(event, topic), headers }));
}

/** The records of a row of the log: an event goes to the topics of its type, any other record unchanged to its own topic. */
function recordsOf(delivery: Delivery, disabledTopics: ReadonlySet<string>): RelayedRecord[] {
  const { topic, key, position, record, headers } = delivery;
  if (!isEventType(topic))
    return [
      {
        ...{ topic, key, value: record, id: `${topic}/${position}` },
        headers: { 'content-type': 'application/json', ...headers },
      },
    ];
  const event = record as Event;
  return eventRecords(event, disabledTopics).map((to) => ({ ...to, id: `${to.topic}/${event.eventId}` }));
}

/** The stream in memory: events in one list, and a cursor for each subscription. */
import type { Event } from '../../internal/domain/events.ts';
import { TOPICS } from '../../internal/domain/topics.ts';
import type { Delivery, EventBus, Subscription } from '../../internal/service/stream/ports.ts';

export interface MemoryBus extends EventBus {
  /** Every event, in the order of the log. */
  readonly events: readonly Event[];
  /** Delivers new events to every subscription until no more follow; rejects with the error of a handler. */
  deliver(): Promise<void>;
}

export function memoryBus(
  log: () => readonly Event[],
  append: (events: readonly Event[]) => void,
): MemoryBus {
  const cursors = new Map<Subscription, number>();
  return {
    get events() {
      return log();
    },
    async publish(events) {
      append(events);
    },
    async subscribe(subscription) {
      cursors.set(subscription, 0);
      return async () => void cursors.delete(subscription);
    },
    async deliver() {
      let busy = true;
      while (busy) {
        busy = false;
        for (const [subscription, from] of cursors) {
          const events = log().slice(from);
          if (events.length === 0) continue;
          busy = true;
          const deliveries = deliveriesOf(events, subscription);
          if (deliveries.length > 0) await subscription.handle({ deliveries, settle: async () => {} });
          cursors.set(subscription, from + events.length);
        }
      }
    },
    fault: () => undefined,
    faults: () => new Map(),
    async close() {
      cursors.clear();
    },
  };
}

function deliveriesOf(events: readonly Event[], { topics, types }: Subscription): Delivery[] {
  return events
    .filter(
      ({ eventType }) =>
        types.includes(eventType) && TOPICS[eventType].some((topic) => topics.includes(topic)),
    )
    .map((event) => deliveryOf(event, topics[0]));
}

/** An event as a consumer receives it from a topic: its record has passed through JSON. */
export function deliveryOf(event: Event, topic = TOPICS[event.eventType][0] ?? ''): Delivery {
  return {
    topic,
    key: event.orderId,
    position: event.eventId,
    record: JSON.parse(JSON.stringify(event)),
  };
}

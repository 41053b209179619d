/** Reads records as events, those of external systems included, on topics that Tiffin publishes to as well. */
import { type Event, type EventType, parseEvent } from '../../domain/events.ts';
import { ORDER_ID } from '../../domain/order.ts';
import { isTooFarAhead, toRfc3339 } from '../../domain/schedule.ts';
import type { Clock } from '../ports.ts';
import type { Consumer } from './consumer.ts';
import type { Delivery } from './ports.ts';

/** The producers of Tiffin's own records. */
const OWN_PRODUCER =
  /^(order|processing|inventory|pricing|payment|restaurant|delivery|notification|query|maintenance)-service$|^scheduler-worker$/;

/** The latest time of a Date, epoch ms (ECMAScript, 21.4.1.1); a larger number is refused as a time. */
const LAST_MS = 8.64e15;

/** The payloads' fields that are times. */
const TIME_NAME = /(At|Time)$|^eta/;
/** An order for the last moment of the ten years was accepted by another program's clock. */
const SLACK_MS = 24 * 3_600_000;

type Fields = Readonly<Record<string, unknown>>;

/** The event in a record with an envelope; undefined for an event of another type. */
export function readEvent(delivery: Delivery, types: readonly EventType[]) {
  const { record } = delivery;
  const type = (record as { eventType?: unknown } | null)?.eventType;
  // Skipped unparsed: a type that this consumer does not handle may be newer than this program.
  if (typeof type === 'string' && !types.includes(type as EventType)) return undefined;
  delivery.parsed ??= parseEvent(record);
  return delivery.parsed;
}

/**
 * `toEvent` converts a record to an event type and payload, in which times may be RFC 3339 text or epoch ms. Tiffin's own
 * records, recognized by `producer`, are skipped. A record without an event id gets one derived from its position, so it
 * is the same for each delivery.
 */
export function externalReader(
  { clock, eventIdFor }: { readonly clock: Clock; readonly eventIdFor: (name: string) => string },
  toEvent: (record: Fields) => { eventType: Event['eventType']; payload: Fields },
): NonNullable<Consumer['read']> {
  return ({ topic, position, record }) => {
    if (typeof record !== 'object' || record === null) return { fault: 'the record is not a JSON object' };
    const fields = record as Fields;
    if (typeof fields.producer === 'string' && OWN_PRODUCER.test(fields.producer)) return undefined;
    if (typeof fields.orderId !== 'string' || !ORDER_ID.test(fields.orderId))
      return { fault: 'orderId must be an order id' };
    const { eventType, payload } = toEvent(fields);
    const at = toRfc3339(clock.now());
    return parseEvent({
      eventId: typeof fields.eventId === 'string' ? fields.eventId : eventIdFor(`${topic}/${position}`),
      eventType,
      schemaVersion: 1,
      occurredAt: at,
      producedAt: at,
      orderId: fields.orderId,
      correlationId: fields.orderId,
      producer: typeof fields.producer === 'string' ? fields.producer : 'another system',
      payload: Object.fromEntries(
        Object.entries(payload).map(([name, value]) => [
          name,
          typeof value === 'number' && Math.abs(value) <= LAST_MS ? toRfc3339(value) : value,
        ]),
      ),
    });
  };
}

/** An event with a time that no order can have is a fault: what it sets in motion would last as long. */
export function withinTenYears<Parsed extends { event: Event } | { fault: string } | undefined>(
  parsed: Parsed,
  now: number,
): Parsed | { fault: string } {
  if (!parsed || 'fault' in parsed) return parsed;
  const { payload, occurredAt, producedAt } = parsed.event;
  const far = Object.entries({ ...(payload as Fields), occurredAt, producedAt })
    .filter(
      ([name, value]) => TIME_NAME.test(name) && isTooFarAhead(Date.parse(value as string) - SLACK_MS, now),
    )
    .map(([name]) => name);
  return far.length > 0 ? { fault: `${far.join(', ')} must be within ten years` } : parsed;
}

/** Reads records that other systems put on a topic which Tiffin writes to as well. */
import { type Event, parseEvent } from '../../domain/events.ts';
import { ORDER_ID } from '../../domain/order.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import type { Clock } from '../ports.ts';
import type { Consumer } from './consumer.ts';

/** Who writes Tiffin's own records. */
const OWN_PRODUCER =
  /^(order|processing|inventory|pricing|payment|restaurant|delivery|notification|query)-service$|^scheduler-worker$/;

/** The farthest that a Date goes, epoch ms (ECMAScript, 21.4.1.1); another number is no time and is refused as such. */
const LAST_MS = 8.64e15;

type Said = Readonly<Record<string, unknown>>;

/**
 * `meaning` says which event the plain fields of a record mean; times in it may be RFC 3339 text or epoch ms. Tiffin's
 * own records, known by their producer, are passed over. A record without an id of its own has one derived from where it
 * stands, the same for each delivery of it.
 */
export function externalReader(
  { clock, eventIdFor }: { readonly clock: Clock; readonly eventIdFor: (name: string) => string },
  meaning: (record: Said) => { eventType: Event['eventType']; payload: Said },
): NonNullable<Consumer['read']> {
  return ({ topic, position, record }) => {
    if (typeof record !== 'object' || record === null) return { fault: 'the record is not a JSON object' };
    const said = record as Said;
    if (typeof said.producer === 'string' && OWN_PRODUCER.test(said.producer)) return undefined;
    if (typeof said.orderId !== 'string' || !ORDER_ID.test(said.orderId))
      return { fault: 'orderId must name an order' };
    const { eventType, payload } = meaning(said);
    const at = toRfc3339(clock.now());
    return parseEvent({
      eventId: typeof said.eventId === 'string' ? said.eventId : eventIdFor(`${topic}/${position}`),
      eventType,
      schemaVersion: 1,
      occurredAt: at,
      producedAt: at,
      orderId: said.orderId,
      correlationId: said.orderId,
      producer: typeof said.producer === 'string' ? said.producer : 'another system',
      payload: Object.fromEntries(
        Object.entries(payload).map(([name, value]) => [
          name,
          typeof value === 'number' && Math.abs(value) <= LAST_MS ? toRfc3339(value) : value,
        ]),
      ),
    });
  };
}

/** Stores changes of deliveries, and builds their events. */
import { announceDelivery, type Delivery } from '../../domain/delivery.ts';
import type { Event } from '../../domain/events.ts';
import type { DecideDeps } from '../decide-orders.ts';
import type { Transaction } from '../ports.ts';
import type { Deliveries } from './ports.ts';
import { PRODUCER } from './refresh-eta.ts';

/** A change of a delivery's state. */
export interface Change {
  /** Undefined for a new delivery. */
  readonly before: Delivery | undefined;
  readonly after: Delivery;
  readonly traceparent: string | undefined;
}

type AnnounceDeps = Pick<DecideDeps, 'clock' | 'newEventId'>;

/** Returns the events for the caller to append in the same transaction. */
export async function storeChanges(
  deps: AnnounceDeps & { readonly deliveries: Deliveries },
  tx: Transaction,
  changes: readonly Change[],
): Promise<Event[]> {
  await deps.deliveries.save(
    tx,
    changes.map(({ after }) => after),
  );
  return announceChanges(deps, changes);
}

export function announceChanges({ clock, newEventId }: AnnounceDeps, changes: readonly Change[]): Event[] {
  const at = clock.now();
  return changes.flatMap(({ before, after, traceparent }) => {
    const origin = { eventId: newEventId(), at, producer: PRODUCER, traceparent };
    return announceDelivery(before, after, origin) ?? [];
  });
}

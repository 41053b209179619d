/** Applies commands to many locked orders in one transaction. */
import { announce } from '../domain/announce.ts';
import type { Event, EventOf, EventType } from '../domain/events.ts';
import type { Order, OrderId } from '../domain/order.ts';
import { decide, evolve, type OrderCommand } from '../domain/order-decisions.ts';
import type { Clock, Log, Transaction } from './ports.ts';

export interface DecideDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly newEventId: () => string;
}

/** A command and the id of its order. */
export interface AddressedCommand {
  readonly id: OrderId;
  readonly command: OrderCommand;
  readonly traceparent?: string | undefined;
}

/**
 * Applies the commands in turn to `orders`, which this transaction has locked, and stores the changed ones. A command that
 * is refused, or whose order is unknown, is logged and skipped. Returns the changed orders, and the events for the caller
 * to append.
 */
export async function decideOrders(
  deps: DecideDeps,
  tx: Transaction,
  producer: string,
  orders: ReadonlyMap<OrderId, Order>,
  commands: readonly AddressedCommand[],
): Promise<{ changed: Map<OrderId, Order>; events: Event[] }> {
  const changed = new Map<OrderId, Order>();
  const events: Event[] = [];
  const now = deps.clock.now();
  for (const { id, command, traceparent } of commands) {
    let order = changed.get(id) ?? orders.get(id);
    if (!order) {
      deps.log.warn({ order: id, command: command.type }, 'a command for an unknown order was skipped');
      continue;
    }
    const decision = decide(command, order, now);
    if ('refused' in decision) {
      deps.log.info(
        { order: id, command: command.type, status: order.status, refused: decision.refused },
        'a command was refused',
      );
      continue;
    }
    for (const change of decision.events) {
      order = evolve(order, change);
      changed.set(id, order);
      events.push(announce(change, order, deps.newEventId(), { producer, traceparent }));
    }
  }
  await tx.saveOrders([...changed.values()]);
  return { changed, events };
}

/** Locks the orders of `events`, applies the command for each event, and returns the events that follow. */
export async function decideForEvents<T extends EventType>(
  deps: DecideDeps,
  tx: Transaction,
  producer: string,
  events: readonly EventOf<T>[],
  commandFor: (event: EventOf<T>, order: Order) => OrderCommand | undefined,
): Promise<Event[]> {
  if (events.length === 0) return [];
  const orders = await lockOrdersOf(tx, events);
  const commands = events.flatMap((event) => {
    const id = event.orderId as OrderId;
    const order = orders.get(id);
    if (!order) {
      const fields = { order: id, event: event.eventType };
      deps.log.warn(fields, 'an event of an unknown order was skipped');
      return [];
    }
    const command = commandFor(event, order);
    return command ? [{ id, command, traceparent: event.traceparent }] : [];
  });
  return (await decideOrders(deps, tx, producer, orders, commands)).events;
}

export function lockOrdersOf(
  tx: Transaction,
  events: readonly { orderId: string }[],
): Promise<Map<OrderId, Order>> {
  return tx.lockOrders([...new Set(events.map((event) => event.orderId as OrderId))]);
}

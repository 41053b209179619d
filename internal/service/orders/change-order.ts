/** Changing one order at a client's request: decided under the lock of its row, answered truthfully. */

import { announce, type Origin } from '../../domain/announce.ts';
import { TiffinError } from '../../domain/errors.ts';
import { allowedStatuses, type Order, type OrderId } from '../../domain/order.ts';
import { decide, evolve, type OrderCommand } from '../../domain/order-decisions.ts';
import { type Answered, answerOnce, type Idempotency } from '../idempotency.ts';
import type { Clock, Transactions } from '../ports.ts';

export interface ChangeDeps {
  readonly transactions: Transactions;
  readonly clock: Clock;
  readonly newEventId: () => string;
}

export interface ChangeOrder {
  readonly id: OrderId;
  readonly command?: OrderCommand;
  /** Instead of one command: those that the order as it stands calls for. */
  readonly commands?: (order: Order) => readonly OrderCommand[];
  readonly origin: Origin;
  /** The versions the client has seen, where it insists on one. */
  readonly ifVersion?: readonly number[] | undefined;
  readonly idempotency?: Idempotency<Order> | undefined;
}

/** Throws ORDER_NOT_FOUND, VERSION_MISMATCH, ALREADY_DISPATCHED, ILLEGAL_TRANSITION or IDEMPOTENCY_KEY_REUSED; nothing is changed then. */
export async function changeOrder(
  deps: ChangeDeps,
  { id, command, commands = () => (command ? [command] : []), origin, ifVersion, idempotency }: ChangeOrder,
): Promise<Answered<Order>> {
  return deps.transactions.run(async (tx) => {
    const order = (await tx.lockOrders([id])).get(id);
    return answerOnce(tx, idempotency, async () => {
      if (!order) throw new TiffinError('ORDER_NOT_FOUND', `there is no order '${id}'`);
      if (ifVersion && !ifVersion.includes(order.version)) {
        throw new TiffinError('VERSION_MISMATCH', `order '${id}' is at version ${order.version} now`);
      }
      const now = deps.clock.now();
      let changed = order;
      const events = commands(order).flatMap((next) => {
        const decision = decide(next, changed, now);
        if ('refused' in decision) throw refusal(decision.refused, changed);
        return decision.events.map((event) => {
          changed = evolve(changed, event);
          return announce(event, changed, deps.newEventId(), origin);
        });
      });
      if (events.length > 0) await tx.saveOrders([changed]);
      await tx.appendEvents(events);
      return changed;
    });
  });
}

function refusal(
  why: 'ALREADY_DISPATCHED' | 'ILLEGAL_TRANSITION' | 'STALE_SCHEDULE',
  order: Order,
): TiffinError {
  if (why === 'ALREADY_DISPATCHED') {
    return new TiffinError(
      'ALREADY_DISPATCHED',
      `order '${order.id}' has been dispatched already and is ${order.status}`,
    );
  }
  const allowed = allowedStatuses(order);
  const rest = allowed.length > 0 ? `from there it may become ${allowed.join(', ')}` : 'nothing can follow';
  return new TiffinError('ILLEGAL_TRANSITION', `order '${order.id}' is ${order.status}; ${rest}`);
}

/** Changes one order at a client's request, under the lock of its row. */
import { announce, type Origin } from '../../domain/announce.ts';
import { TiffinError } from '../../domain/errors.ts';
import { allowedStatuses, type Order, type OrderId } from '../../domain/order.ts';
import { decide, evolve, type OrderCommand, type Refusal } from '../../domain/order-decisions.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import { type Answered, answerOnce, type Idempotency } from '../idempotency.ts';
import type { Clock, Transactions } from '../ports.ts';

export interface ChangeDeps {
  readonly transactions: Transactions;
  readonly clock: Clock;
  readonly newEventId: () => string;
}

export interface ChangeOrder {
  readonly id: OrderId;
  /** The commands to apply in turn, given the order as it is now. */
  readonly commands: (order: Order) => readonly OrderCommand[];
  readonly origin: Origin;
  /** The change is refused unless the order has one of these versions; absent for any version. */
  readonly ifVersion?: readonly number[] | undefined;
  readonly idempotency?: Idempotency<Order> | undefined;
}

/**
 * The order after all commands, or the stored response of the idempotency key. Throws ORDER_NOT_FOUND, VERSION_MISMATCH,
 * ALREADY_DISPATCHED, RESCHEDULED_TOO_OFTEN, ILLEGAL_TRANSITION or IDEMPOTENCY_KEY_REUSED, and then changes nothing.
 */
export async function changeOrder(
  deps: ChangeDeps,
  { id, commands, origin, ifVersion, idempotency }: ChangeOrder,
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
      const events = commands(order).flatMap((command) => {
        const decision = decide(command, changed, now);
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

function refusal(refused: Refusal, order: Order): TiffinError {
  if (refused === 'RESCHEDULED_TOO_OFTEN') {
    const detail = `order '${order.id}' was rescheduled as often as an order may be; it stays due at ${toRfc3339(order.dueAt)}`;
    return new TiffinError(refused, detail);
  }
  if (refused === 'ALREADY_DISPATCHED') {
    return new TiffinError(
      'ALREADY_DISPATCHED',
      `order '${order.id}' was already dispatched and is ${order.status}`,
    );
  }
  const allowed = allowedStatuses(order);
  const rest = allowed.length > 0 ? `it may become ${allowed.join(', ')}` : 'that status is final';
  return new TiffinError('ILLEGAL_TRANSITION', `order '${order.id}' is ${order.status}; ${rest}`);
}

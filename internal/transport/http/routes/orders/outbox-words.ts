/** The statuses of the transactional-outbox dialect, and the commands that lead an order to each of them. */
import { TRANSACTIONAL_OUTBOX } from '../../../../domain/dialects.ts';
import { TiffinError, unreachable } from '../../../../domain/errors.ts';
import { allowedStatuses, type Order } from '../../../../domain/order.ts';
import { decide, evolve, type OrderCommand } from '../../../../domain/order-decisions.ts';

export const OUTBOX_WORDS = ['PLACED', 'PREPARING', 'OUT_FOR_DELIVERY', 'DELIVERED', 'CANCELLED'] as const;
/** The statuses a client may set; COMPLETED is for a collected order. */
export type OutboxWord = (typeof OUTBOX_WORDS)[number] | 'COMPLETED';

/** The commands that lead an order to a status: none if it has it already. Throws ILLEGAL_TRANSITION if they are refused. */
export function commandsTo(word: OutboxWord, order: Order): readonly OrderCommand[] {
  if (TRANSACTIONAL_OUTBOX[order.status] === word || order.status === word) return [];
  const step = (to: 'ACCEPTED' | 'PREPARING' | 'OUT_FOR_DELIVERY' | 'DELIVERED' | 'COMPLETED') =>
    ({ type: 'advance', to, by: 'request' }) as const;
  switch (word) {
    case 'PREPARING':
      return allowed(order, word, [step('ACCEPTED'), step('PREPARING')]);
    case 'OUT_FOR_DELIVERY':
    case 'DELIVERED':
    case 'COMPLETED':
      return allowed(order, word, [step(word)]);
    case 'CANCELLED':
      return allowed(order, word, [{ type: 'cancel' }]);
    case 'PLACED':
      throw illegalTransition(order, word);
    default:
      return unreachable(word);
  }
}

/** Tries the commands before anything is changed, so that a refusal names this dialect's statuses. */
function allowed(order: Order, word: string, commands: readonly OrderCommand[]): readonly OrderCommand[] {
  let current = order;
  for (const command of commands) {
    const decision = decide(command, current, order.updatedAt);
    if ('refused' in decision) throw illegalTransition(order, word);
    current = decision.events.reduce<Order>(evolve, current);
  }
  return commands;
}

function illegalTransition(order: Order, word: string): TiffinError {
  const current = TRANSACTIONAL_OUTBOX[order.status];
  // COMPLETED is shown as DELIVERED in this dialect, but is requested under its own name.
  const next = allowedStatuses(order).map((to) => (to === 'COMPLETED' ? to : TRANSACTIONAL_OUTBOX[to]));
  const reachable = [...new Set(next)].filter((candidate) => candidate !== current);
  return new TiffinError(
    'ILLEGAL_TRANSITION',
    `order '${order.id}' is ${current} and cannot become ${word}; ${reachable.length > 0 ? `it may become ${reachable.join(', ')}` : 'its status is final'}`,
  );
}

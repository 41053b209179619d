/** The status words of the transactional-outbox dialect, and the commands that bring an order to each. */
import { TRANSACTIONAL_OUTBOX } from '../../../../domain/dialects.ts';
import { TiffinError, unreachable } from '../../../../domain/errors.ts';
import { allowedStatuses, type Order } from '../../../../domain/order.ts';
import { decide, evolve, type OrderCommand } from '../../../../domain/order-decisions.ts';

export const OUTBOX_WORDS = ['PLACED', 'PREPARING', 'OUT_FOR_DELIVERY', 'DELIVERED', 'CANCELLED'] as const;
/** What a status may be changed to: an order that was collected is COMPLETED. */
export type OutboxWord = (typeof OUTBOX_WORDS)[number] | 'COMPLETED';

/** The commands that bring an order to a word of this dialect: none where it is there, and a refusal where that is a jump. */
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
      throw jump(order, word);
    default:
      return unreachable(word);
  }
}

/** Refused in this dialect's words, before anything is changed. */
function allowed(order: Order, word: string, commands: readonly OrderCommand[]): readonly OrderCommand[] {
  let current = order;
  for (const command of commands) {
    const decision = decide(command, current, order.updatedAt);
    if ('refused' in decision) throw jump(order, word);
    current = decision.events.reduce<Order>(evolve, current);
  }
  return commands;
}

function jump(order: Order, word: string): TiffinError {
  const here = TRANSACTIONAL_OUTBOX[order.status];
  // Its word is DELIVERED too, but who asks for that asks for something else.
  const next = allowedStatuses(order).map((to) => (to === 'COMPLETED' ? to : TRANSACTIONAL_OUTBOX[to]));
  const reachable = [...new Set(next)].filter((candidate) => candidate !== here);
  return new TiffinError(
    'ILLEGAL_TRANSITION',
    `order '${order.id}' is ${here} and cannot become ${word}; ${reachable.length > 0 ? `it may become ${reachable.join(', ')}` : 'nothing can follow'}`,
  );
}

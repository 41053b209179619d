/** Tests of the order's rules in the form: given an order, when a command is decided, these events follow. */
import assert from 'node:assert/strict';
import type { Order } from '../../internal/domain/order.ts';
import { decide, type OrderCommand } from '../../internal/domain/order-decisions.ts';
import { LATER } from './builders.ts';

export function given(order: Order) {
  return {
    when(command: OrderCommand) {
      const decision = decide(command, order, LATER);
      return {
        follows: (...events: object[]) =>
          assert.deepEqual(decision, { events: events.map((event) => ({ ...event, at: LATER })) }),
        nothingHappens: () => assert.deepEqual(decision, { events: [] }),
        itIsRefused: (why: string) => assert.deepEqual(decision, { refused: why }),
      };
    },
  };
}

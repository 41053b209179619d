/** The events that settle a payment, orders in the states they come in, and providers that wait or change their manner. */
import { randomUUID } from 'node:crypto';
import { fact } from '../../internal/domain/announce.ts';
import type { Event, EventType } from '../../internal/domain/events.ts';
import { CONTENTS, movedTo, placedOrder } from './builders.ts';
import { NOON } from './manual-clock.ts';
import type { Manner } from './payments.ts';
import { gate } from './turns.ts';
import { until } from './until.ts';

export function happened(type: EventType, id: string, payload: object): Event {
  return fact(type, id, payload as never, { eventId: randomUUID(), at: NOON, producer: 'test' }) as Event;
}
export const reserved = (id: string) => happened('inventory.reserved', id, { items: [], amountDue: '12.50' });
export const timerOf = (id: string) => happened('timer.payment', id, { dueAt: new Date(NOON).toISOString() });
export const cancelled = (id: string) => happened('order.cancelled', id, { status: 'CANCELLED', version: 3 });
export const completed = (id: string) =>
  happened('order.completed', id, { status: 'COMPLETED', version: 4, items: [] });
export const started = (id: string) =>
  movedTo(placedOrder({ content: { ...CONTENTS.items, id } }), 'PROCESSING');
export const finished = (id: string) => movedTo(started(id), 'CONFIRMED', 'COMPLETED');
/** Holds requests to the provider until the gate is opened. */
export function holdRequests() {
  const held = gate();
  let count = 0;
  const pass = () => {
    count += 1;
    return held.promise;
  };
  const requested = (times: number) =>
    until('the provider is called', async () => count >= times || undefined);
  return { pass, requested, held };
}
export const inTurn = (...manners: Manner[]) => {
  const turn = manners.values();
  return { mannerOf: () => turn.next().value ?? 'answered' };
};

/** Confirms or fails orders after the answers of inventory and payment; completes those that need neither restaurant nor delivery. */
import { fact } from '../../domain/announce.ts';
import type { Event, EventOf } from '../../domain/events.ts';
import { isDelivered, nextMilestones, type Order, type OrderId } from '../../domain/order.ts';
import type { OrderCommand } from '../../domain/order-decisions.ts';
import { ABANDONED } from '../../domain/payment.ts';
import { type AddressedCommand, type DecideDeps, decideOrders, lockOrdersOf } from '../decide-orders.ts';
import type { Transaction } from '../ports.ts';
import type { Timer, Timers } from '../scheduling/ports.ts';
import { setTimers, type TimerDeps } from '../scheduling/set-timers.ts';
import type { Consumer } from '../stream/consumer.ts';

const PRODUCER = 'processing-service';

type Answer = 'inventory.reserved' | 'inventory.rejected' | 'payment.authorized' | 'payment.failed';

export interface ConfirmDeps extends DecideDeps, TimerDeps {
  readonly timers: Pick<Timers, 'set' | 'clear' | 'dueAt'>;
  /** The simulated duration of other checks between payment and confirmation, milliseconds; 0 for none. */
  readonly checksMs: number;
}

/** PROCESSING → CONFIRMED or FAILED. */
export function confirmConsumer(deps: ConfirmDeps): Consumer<Answer | 'timer.checks', void> {
  return {
    name: 'processing-service.confirm',
    topics: ['raw.payment-events', 'raw.inventory-events', 'timers'],
    types: [
      'inventory.reserved',
      'inventory.rejected',
      'payment.authorized',
      'payment.failed',
      'timer.checks',
    ],
    isIdempotent: true,
    async apply(tx, all, _performed, afterCommit) {
      // An order with reserved items waits for its payment, unless there is nothing to pay.
      const events = all.filter(
        (event) =>
          event.eventType !== 'inventory.reserved' ||
          (event as EventOf<'inventory.reserved'>).payload.amountDue === '0.00',
      );
      if (events.length === 0) return [];
      const orders = await lockOrdersOf(tx, events);
      const toCheck = deps.checksMs === 0 ? [] : events.filter(waitsForChecks(orders));
      const checks = events.filter(({ eventType }) => eventType === 'timer.checks');
      const { over, early } = await byStoredTime(deps, tx, checks);
      const commands = events
        .filter((event) => (event.eventType === 'timer.checks' ? over.has(event) : !toCheck.includes(event)))
        .flatMap((event) => commandsFor(event, orders.get(event.orderId as OrderId)));
      const { changed, events: announced } = await decideOrders(deps, tx, PRODUCER, orders, commands);
      const dueAt = deps.clock.now() + deps.checksMs;
      await setTimers(
        deps,
        tx,
        [
          ...toCheck.map((event): Timer => ({ kind: 'checks', orderId: event.orderId as OrderId, dueAt })),
          ...early,
        ],
        afterCommit,
      );
      await deps.timers.clear(
        tx,
        [...over].map(({ orderId }) => ({ kind: 'checks', orderId: orderId as OrderId })),
      );
      return [...announced, ...riderRequests(deps, announced, changed)];
    },
  };
}

/** The events whose stored timer is over, and the timers that still run. One that was never set or is done is in neither. */
async function byStoredTime(
  { timers, clock }: ConfirmDeps,
  tx: Transaction,
  events: readonly EventOf<Answer | 'timer.checks'>[],
): Promise<{ over: ReadonlySet<EventOf<Answer | 'timer.checks'>>; early: Timer[] }> {
  if (events.length === 0) return { over: new Set(), early: [] };
  const ids = [...new Set(events.map(({ orderId }) => orderId as OrderId))];
  const stored = await timers.dueAt(tx, 'checks', ids);
  const now = clock.now();
  const isOver = ({ orderId }: { orderId: string }) => (stored.get(orderId as OrderId) ?? Infinity) <= now;
  return {
    over: new Set(events.filter(isOver)),
    early: [...stored]
      .filter(([, dueAt]) => dueAt > now)
      .map(([orderId, dueAt]) => ({ kind: 'checks', orderId, dueAt })),
  };
}

function waitsForChecks(orders: ReadonlyMap<OrderId, Order>) {
  return ({ eventType, orderId }: EventOf<Answer | 'timer.checks'>) =>
    (eventType === 'payment.authorized' || eventType === 'inventory.reserved') &&
    orders.get(orderId as OrderId)?.status === 'PROCESSING';
}

function commandsFor(event: EventOf<Answer | 'timer.checks'>, order: Order | undefined): AddressedCommand[] {
  if (!order) return [];
  const commands: OrderCommand[] = [];
  switch (event.eventType) {
    case 'inventory.rejected':
      commands.push({ type: 'fail', reason: 'OUT_OF_STOCK' });
      break;
    case 'payment.failed':
      // A payment is abandoned because its order has ended.
      if ((event as EventOf<'payment.failed'>).payload.reason !== ABANDONED)
        commands.push({ type: 'fail', reason: 'PAYMENT_DECLINED' });
      break;
    default:
      commands.push({ type: 'advance', to: 'CONFIRMED', by: 'fact' });
      if (
        order.status === 'PROCESSING' &&
        nextMilestones({ ...order, status: 'CONFIRMED' }).includes('COMPLETED')
      )
        commands.push({ type: 'advance', to: 'COMPLETED', by: 'fact' });
  }
  return commands.map((command) => ({ id: order.id, command, traceparent: event.traceparent }));
}

/** A rider is requested at confirmation if the order has no restaurant that must accept it first. */
function riderRequests(
  { clock, newEventId }: ConfirmDeps,
  announced: readonly Event[],
  changed: ReadonlyMap<OrderId, Order>,
): Event[] {
  return announced.flatMap(({ eventType, orderId, traceparent }) => {
    const order = changed.get(orderId as OrderId);
    if (eventType !== 'order.confirmed' || !order || order.restaurantId || !isDelivered(order)) return [];
    const payload = order.deliveryAddress ? { deliveryAddress: order.deliveryAddress } : {};
    const origin = { eventId: newEventId(), at: clock.now(), producer: PRODUCER, traceparent };
    return [fact('rider.requested', orderId, payload, origin)];
  });
}

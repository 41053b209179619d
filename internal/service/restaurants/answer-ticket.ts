/** Applies a restaurant's answer to an order, under the locks of the order and its ticket. The first answer counts. */
import { fact } from '../../domain/announce.ts';
import { TiffinError } from '../../domain/errors.ts';
import type { Event, EventOf } from '../../domain/events.ts';
import type { Order, OrderId } from '../../domain/order.ts';
import type { OrderCommand } from '../../domain/order-decisions.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import { type AddressedCommand, type DecideDeps, decideOrders, lockOrdersOf } from '../decide-orders.ts';
import { type Answered, answerOnce, type Idempotency } from '../idempotency.ts';
import type { Catalogue, Restaurant } from '../inventory/ports.ts';
import type { Transactions } from '../ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import { externalReader } from '../stream/external-records.ts';
import { acceptance, acceptedTicket, newTicket, PRODUCER, readyTime } from './keep-tickets.ts';
import type { Ticket, Tickets } from './ports.ts';

/** The longest reason that is stored from an external record, characters. */
const LONGEST_REASON = 256;

export interface AnswerDeps extends DecideDeps {
  readonly transactions: Transactions;
  readonly tickets: Tickets;
  readonly catalogue: Pick<Catalogue, 'look'>;
}

export interface TicketAnswer {
  readonly restaurantId: string;
  readonly orderId: OrderId;
  readonly answer:
    | { readonly type: 'accept'; readonly estimatedReadyAt?: number | undefined }
    | { readonly type: 'reject'; readonly reason: string };
  readonly traceparent?: string | undefined;
  readonly idempotency?: Idempotency<Ticket> | undefined;
}

/**
 * The answered ticket, or the stored response of the idempotency key. Throws TICKET_NOT_FOUND, ALREADY_ACCEPTED,
 * ALREADY_REJECTED, ILLEGAL_TRANSITION (not confirmed yet), TOO_LATE or IDEMPOTENCY_KEY_REUSED, and then changes nothing.
 */
export async function answerTicket(deps: AnswerDeps, request: TicketAnswer): Promise<Answered<Ticket>> {
  const { orderId, restaurantId, traceparent, idempotency } = request;
  // Before the transaction, since a second connection inside it can deadlock a pool whose connections are all taken.
  const { restaurants } = await deps.catalogue.look({ restaurants: [restaurantId] });
  return deps.transactions.run(async (tx) => {
    const orders = await tx.lockOrders([orderId]);
    return answerOnce(tx, idempotency, async () => {
      const stored = (await deps.tickets.lock(tx, [orderId])).get(orderId);
      const now = deps.clock.now();
      const { ticket, command } = decideAnswer(request, orders.get(orderId), stored, restaurants, now);
      if (!command)
        throw new TiffinError(
          'ILLEGAL_TRANSITION',
          `order '${orderId}' is ${orders.get(orderId)?.status} and not confirmed yet`,
        );
      await deps.tickets.save(tx, [ticket]);
      const { events } = await decideOrders(deps, tx, PRODUCER, orders, [
        { id: orderId, command, traceparent },
      ]);
      const answer = (ticket.state === 'ACCEPTED' ? acceptance : rejection)(deps, ticket, traceparent);
      await tx.appendEvents([answer, ...events]);
      return ticket;
    });
  });
}

/** The answered ticket, and the command for the order; no command while the order is not confirmed. */
function decideAnswer(
  { orderId, restaurantId, answer }: TicketAnswer,
  order: Order | undefined,
  stored: Ticket | undefined,
  restaurants: ReadonlyMap<string, Restaurant>,
  now: number,
): { ticket: Ticket; command?: OrderCommand } {
  if (!order || order.restaurantId !== restaurantId) throw ticketNotFound(restaurantId, orderId);
  const ticket = stored ?? newTicket(order, now);
  assertOpen(ticket, order);
  const isEarly = order.status !== 'CONFIRMED';
  if (answer.type === 'reject') {
    const { reason } = answer;
    const rejected: Ticket = { ...ticket, state: 'REJECTED', answeredAt: now, reason, closedAt: now };
    return isEarly ? { ticket: rejected } : { ticket: rejected, command: { type: 'reject', reason } };
  }
  if (isEarly) return { ticket: acceptedTicket(ticket, now, answer.estimatedReadyAt) };
  const readyAt = readyTime(answer.estimatedReadyAt, restaurants.get(restaurantId), now);
  return {
    ticket: acceptedTicket(ticket, now, readyAt),
    command: { type: 'advance', to: 'ACCEPTED', by: 'request' },
  };
}

export function ticketNotFound(restaurantId: string, orderId: string): TiffinError {
  return new TiffinError('TICKET_NOT_FOUND', `restaurant '${restaurantId}' has no order '${orderId}'`);
}

function assertOpen(ticket: Ticket, { id, status }: Order): void {
  if (ticket.state === 'ACCEPTED')
    throw new TiffinError('ALREADY_ACCEPTED', `order '${id}' has already been accepted`);
  if (ticket.state === 'REJECTED')
    throw new TiffinError('ALREADY_REJECTED', `order '${id}' has already been rejected`);
  if (status !== 'CREATED' && status !== 'PROCESSING' && status !== 'CONFIRMED')
    throw new TiffinError('TOO_LATE', `order '${id}' is ${status} and waits for no answer`);
}

function rejection(
  { clock, newEventId }: AnswerDeps,
  { orderId, restaurantId, reason = '', answeredAt }: Ticket,
  traceparent: string | undefined,
): Event {
  const at = clock.now();
  const payload = { restaurantId, rejectedAt: toRfc3339(answeredAt ?? at), reason };
  return fact('restaurant.rejected', orderId, payload, {
    eventId: newEventId(),
    at,
    producer: PRODUCER,
    traceparent,
  });
}

/**
 * Reads answers that an external system has published to `order_accepted`; late and repeated ones are skipped. A system that
 * reads `order_placed` may answer before the order is confirmed; the ticket then stores the answer until the confirmation.
 */
export function externalAnswersConsumer(
  deps: AnswerDeps & { readonly eventIdFor: (name: string) => string },
): Consumer<'restaurant.accepted' | 'restaurant.rejected', void> {
  const reader = externalReader(deps, (record) => answerIn(record, deps.clock.now()));
  return {
    name: 'restaurant-service.foreign-answers',
    topics: ['order_accepted'],
    // Tiffin's own events on this topic are not read.
    types: [],
    read(delivery) {
      const parsed = reader(delivery);
      const word = wordOf(delivery.record);
      return parsed && 'event' in parsed && !YES.test(word) && !NO.test(word)
        ? { fault: `'${word.slice(0, 64)}' is neither ACCEPTED nor REJECTED` }
        : parsed;
    },
    async apply(tx, events) {
      const orders = await lockOrdersOf(tx, events);
      const tickets = await deps.tickets.lock(tx, [...orders.keys()]);
      const ids = new Set([...orders.values()].flatMap(({ restaurantId = [] }) => restaurantId));
      const { restaurants } = await deps.catalogue.look({ restaurants: [...ids] }, tx);
      const answered = new Map<OrderId, Ticket>();
      const commands: AddressedCommand[] = [];
      for (const event of events) {
        const id = event.orderId as OrderId;
        const order = orders.get(id);
        const answer = externalAnswer(event, order);
        try {
          const stored = answered.get(id) ?? tickets.get(id);
          const { ticket, command } = decideAnswer(answer, order, stored, restaurants, deps.clock.now());
          answered.set(id, ticket);
          if (command) commands.push({ id, command, traceparent: event.traceparent });
        } catch (error) {
          if (!(error instanceof TiffinError)) throw error;
          deps.log.info({ order: id, refused: error.code }, 'an external answer was skipped');
        }
      }
      await deps.tickets.save(tx, [...answered.values()]);
      // The record itself announces the answer, so no restaurant.* event follows.
      return (await decideOrders(deps, tx, PRODUCER, orders, commands)).events;
    },
  };
}

type Fields = Readonly<Record<string, unknown>>;

const YES = /accept(ed)?$/i;
const NO = /reject(ed)?$/i;

/** The fields of a flat record, or of an envelope's payload and its flat fields. */
function fieldsOf(record: unknown): Fields {
  const outer = record as Fields;
  return { ...(outer.payload as Fields | undefined), ...outer };
}

/** The answer in the record; ACCEPTED, after the topic's name, if it has none. */
function wordOf(record: unknown): string {
  const { status, action, eventType } = fieldsOf(record ?? {});
  const word = status ?? action ?? eventType ?? 'ACCEPTED';
  return typeof word === 'string' ? word : JSON.stringify(word);
}

function answerIn(record: Fields, now: number): ReturnType<Parameters<typeof externalReader>[1]> {
  const { restaurantId = '', estimatedReadyTime, ...fields } = fieldsOf(record);
  if (NO.test(wordOf(record))) {
    const { rejectedAt = now, reason = 'REJECTED' } = fields;
    return { eventType: 'restaurant.rejected', payload: { restaurantId, rejectedAt, reason } };
  }
  const { acceptedAt = now } = fields;
  const ready = estimatedReadyTime === undefined ? {} : { estimatedReadyTime };
  return { eventType: 'restaurant.accepted', payload: { restaurantId, acceptedAt, ...ready } };
}

function externalAnswer(
  event: EventOf<'restaurant.accepted' | 'restaurant.rejected'>,
  order: Order | undefined,
): TicketAnswer {
  const { eventType, payload } = event as EventOf<'restaurant.accepted'> | EventOf<'restaurant.rejected'>;
  const ids = {
    orderId: event.orderId as OrderId,
    restaurantId: payload.restaurantId || (order?.restaurantId ?? ''),
  };
  if (eventType === 'restaurant.rejected')
    return { ...ids, answer: { type: 'reject', reason: payload.reason.slice(0, LONGEST_REASON) } };
  const ready = payload.estimatedReadyTime;
  return {
    ...ids,
    answer: { type: 'accept', ...(ready ? { estimatedReadyAt: Date.parse(ready) } : {}) },
  };
}

/** A restaurant's answer to an order: decided under the locks of the order and its ticket, once. */
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

/** Of a reason that comes from another system, characters. */
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

/** Throws TICKET_NOT_FOUND, ALREADY_ACCEPTED, ALREADY_REJECTED, ILLEGAL_TRANSITION (not confirmed yet) or TOO_LATE; nothing is changed then. */
export async function answerTicket(deps: AnswerDeps, asked: TicketAnswer): Promise<Answered<Ticket>> {
  const { orderId, restaurantId, traceparent, idempotency } = asked;
  // Not within the transaction: as many answers as there are connections would each hold one and wait for another.
  const { restaurants } = await deps.catalogue.look({ restaurants: [restaurantId] });
  return deps.transactions.run(async (tx) => {
    const orders = await tx.lockOrders([orderId]);
    return answerOnce(tx, idempotency, async () => {
      const known = (await deps.tickets.lock(tx, [orderId])).get(orderId);
      const now = deps.clock.now();
      const { ticket, command } = decideAnswer(asked, orders.get(orderId), known, restaurants, now);
      if (!command)
        throw new TiffinError(
          'ILLEGAL_TRANSITION',
          `order '${orderId}' is ${orders.get(orderId)?.status} and not confirmed yet`,
        );
      await deps.tickets.save(tx, [ticket]);
      const { events } = await decideOrders(deps, tx, PRODUCER, orders, [
        { id: orderId, command, traceparent },
      ]);
      const said = (ticket.state === 'ACCEPTED' ? acceptance : rejection)(deps, ticket, traceparent);
      await tx.appendEvents([said, ...events]);
      return ticket;
    });
  });
}

/** The ticket with its answer, and what that asks of the order: nothing as long as the order is not confirmed. */
function decideAnswer(
  { orderId, restaurantId, answer }: TicketAnswer,
  order: Order | undefined,
  known: Ticket | undefined,
  restaurants: ReadonlyMap<string, Restaurant>,
  now: number,
): { ticket: Ticket; command?: OrderCommand } {
  if (!order || order.restaurantId !== restaurantId) throw ticketNotFound(restaurantId, orderId);
  const ticket = known ?? newTicket(order, now);
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
    throw new TiffinError('ALREADY_ACCEPTED', `order '${id}' has been accepted already`);
  if (ticket.state === 'REJECTED')
    throw new TiffinError('ALREADY_REJECTED', `order '${id}' has been rejected already`);
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
 * Answers that another system put on `order_accepted`; what came too late, or twice, is passed over. Who hears of orders
 * by `order_placed` may answer before stock and payment have: that answer is kept until the order is confirmed.
 */
export function externalAnswersConsumer(
  deps: AnswerDeps & { readonly eventIdFor: (name: string) => string },
): Consumer<'restaurant.accepted' | 'restaurant.rejected', void> {
  const reader = externalReader(deps, (record) => answerIn(record, deps.clock.now()));
  return {
    name: 'restaurant-service.foreign-answers',
    topics: ['order_accepted'],
    // Tiffin's own stand there as well, and are not to be read again.
    types: [],
    read(delivery) {
      const read = reader(delivery);
      const word = wordOf(delivery.record);
      return read && 'event' in read && !YES.test(word) && !NO.test(word)
        ? { fault: `'${word.slice(0, 64)}' is neither ACCEPTED nor REJECTED` }
        : read;
    },
    async apply(tx, events) {
      const orders = await lockOrdersOf(tx, events);
      const tickets = await deps.tickets.lock(tx, [...orders.keys()]);
      const concerned = new Set([...orders.values()].flatMap(({ restaurantId = [] }) => restaurantId));
      const { restaurants } = await deps.catalogue.look({ restaurants: [...concerned] }, tx);
      const answered = new Map<OrderId, Ticket>();
      const wanted: AddressedCommand[] = [];
      for (const event of events) {
        const id = event.orderId as OrderId;
        const order = orders.get(id);
        const asked = externalAnswer(event, order);
        try {
          const known = answered.get(id) ?? tickets.get(id);
          const { ticket, command } = decideAnswer(asked, order, known, restaurants, deps.clock.now());
          answered.set(id, ticket);
          if (command) wanted.push({ id, command, traceparent: event.traceparent });
        } catch (error) {
          if (!(error instanceof TiffinError)) throw error;
          deps.log.info({ order: id, refused: error.code }, 'an answer of another system was passed over');
        }
      }
      await deps.tickets.save(tx, [...answered.values()]);
      // That the restaurant has answered is on the topic already.
      return (await decideOrders(deps, tx, PRODUCER, orders, wanted)).events;
    },
  };
}

type Fields = Readonly<Record<string, unknown>>;

const YES = /accept(ed)?$/i;
const NO = /reject(ed)?$/i;

/** Flat fields, or the same within an envelope. */
function fieldsOf(record: unknown): Fields {
  const outer = record as Fields;
  return { ...(outer.payload as Fields | undefined), ...outer };
}

/** The topic's own word, where the record has none. */
function wordOf(record: unknown): string {
  const { status, action, eventType } = fieldsOf(record ?? {});
  return String(status ?? action ?? eventType ?? 'ACCEPTED');
}

function answerIn(record: Fields, now: number): ReturnType<Parameters<typeof externalReader>[1]> {
  const { restaurantId = '', estimatedReadyTime, ...said } = fieldsOf(record);
  if (NO.test(wordOf(record))) {
    const { rejectedAt = now, reason = 'REJECTED' } = said;
    return { eventType: 'restaurant.rejected', payload: { restaurantId, rejectedAt, reason } };
  }
  const { acceptedAt = now } = said;
  const ready = estimatedReadyTime === undefined ? {} : { estimatedReadyTime };
  return { eventType: 'restaurant.accepted', payload: { restaurantId, acceptedAt, ...ready } };
}

function externalAnswer(
  event: EventOf<'restaurant.accepted' | 'restaurant.rejected'>,
  order: Order | undefined,
): TicketAnswer {
  const said = event as EventOf<'restaurant.accepted'> | EventOf<'restaurant.rejected'>;
  const about = {
    orderId: event.orderId as OrderId,
    restaurantId: said.payload.restaurantId || (order?.restaurantId ?? ''),
  };
  if (said.eventType === 'restaurant.rejected')
    return { ...about, answer: { type: 'reject', reason: said.payload.reason.slice(0, LONGEST_REASON) } };
  const ready = said.payload.estimatedReadyTime;
  return {
    ...about,
    answer: { type: 'accept', ...(ready ? { estimatedReadyAt: Date.parse(ready) } : {}) },
  };
}

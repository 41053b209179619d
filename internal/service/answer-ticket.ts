/** A restaurant's answer to an order: decided under the locks of the order and its ticket, once. */
import { fact } from '../domain/announce.ts';
import { TiffinError } from '../domain/errors.ts';
import type { Event, EventOf } from '../domain/events.ts';
import type { Order, OrderCommand, OrderId } from '../domain/order.ts';
import { toRfc3339 } from '../domain/schedule.ts';
import type { Consumer } from './consume.ts';
import { type DecideDeps, decideOrders } from './decide-orders.ts';
import { foreignReader } from './foreign-records.ts';
import type { Catalogue } from './inventory-ports.ts';
import { acceptance, acceptedTicket, newTicket, PRODUCER } from './keep-tickets.ts';
import { keyReused } from './place-order.ts';
import type { IdempotencyKey, StoredAnswer, Transaction, Transactions } from './ports.ts';
import type { Ticket, Tickets } from './restaurant-ports.ts';

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
  readonly idempotency?:
    | { readonly key: IdempotencyKey; readonly answer: (ticket: Ticket) => Omit<StoredAnswer, 'fingerprint'> }
    | undefined;
}

export type TicketResult = { readonly ticket: Ticket } | { readonly answer: StoredAnswer };

/** Throws TICKET_NOT_FOUND, ALREADY_ACCEPTED, ALREADY_REJECTED, ILLEGAL_TRANSITION (not confirmed yet) or TOO_LATE; nothing is changed then. */
export async function answerTicket(deps: AnswerDeps, asked: TicketAnswer): Promise<TicketResult> {
  const { idempotency } = asked;
  return deps.transactions.run(async (tx) => {
    const order = (await tx.lockOrders([asked.orderId])).get(asked.orderId);
    if (idempotency) {
      const answer = await tx.answers.recall(idempotency.key);
      if (answer && answer.fingerprint !== idempotency.key.fingerprint) throw keyReused();
      if (answer) return { answer };
    }
    const { ticket, events } = await answerWithin(deps, tx, order, asked);
    await tx.appendEvents(events);
    if (idempotency) {
      const { key, answer } = idempotency;
      await tx.answers.remember(key, { ...answer(ticket), fingerprint: key.fingerprint });
    }
    return { ticket };
  });
}

async function answerWithin(
  deps: AnswerDeps,
  tx: Transaction,
  order: Order | undefined,
  { orderId, restaurantId, answer, traceparent }: TicketAnswer,
): Promise<{ ticket: Ticket; events: Event[] }> {
  if (!order || order.restaurantId !== restaurantId)
    throw new TiffinError('TICKET_NOT_FOUND', `restaurant '${restaurantId}' has no order '${orderId}'`);
  const now = deps.clock.now();
  const open = (await deps.tickets.lock(tx, [orderId])).get(orderId) ?? newTicket(order, now);
  assertOpen(open, order);
  const readyAt = answer.type === 'accept' ? await readyTime(deps, open, answer.estimatedReadyAt, now) : now;
  const ticket: Ticket =
    answer.type === 'accept'
      ? acceptedTicket(open, now, readyAt)
      : { ...open, state: 'REJECTED', answeredAt: now, reason: answer.reason, closedAt: now };
  const command: OrderCommand =
    answer.type === 'accept'
      ? { type: 'advance', to: 'ACCEPTED', by: 'request' }
      : { type: 'reject', reason: answer.reason };
  await deps.tickets.save(tx, [ticket]);
  const orders = new Map([[orderId, order]]);
  const { events } = await decideOrders(deps, tx, PRODUCER, orders, [{ id: orderId, command, traceparent }]);
  const said =
    answer.type === 'accept' ? acceptance(deps, ticket, traceparent) : rejection(deps, ticket, traceparent);
  return { ticket, events: [said, ...events] };
}

function assertOpen(ticket: Ticket, order: Order): void {
  if (ticket.state === 'ACCEPTED')
    throw new TiffinError('ALREADY_ACCEPTED', `order '${order.id}' has been accepted already`);
  if (ticket.state === 'REJECTED')
    throw new TiffinError('ALREADY_REJECTED', `order '${order.id}' has been rejected already`);
  if (order.status === 'CREATED' || order.status === 'PROCESSING')
    throw new TiffinError(
      'ILLEGAL_TRANSITION',
      `order '${order.id}' is ${order.status} and not confirmed yet`,
    );
  if (order.status !== 'CONFIRMED')
    throw new TiffinError('TOO_LATE', `order '${order.id}' is ${order.status} and waits for no answer`);
}

/** As the restaurant says, or as long as it takes as a rule; a time in the past means now. */
async function readyTime(
  { catalogue }: AnswerDeps,
  { restaurantId }: Ticket,
  said: number | undefined,
  now: number,
): Promise<number> {
  if (said !== undefined) return Math.max(said, now);
  const { restaurants } = await catalogue.look({ restaurants: [restaurantId] });
  return now + (restaurants.get(restaurantId)?.preparationS ?? 0) * 1_000;
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

/** Answers that another system put on `order_accepted`; what came too late, or twice, is passed over. */
export function foreignAnswersConsumer(
  deps: AnswerDeps & { readonly eventIdFor: (name: string) => string },
): Consumer<'restaurant.accepted' | 'restaurant.rejected', void> {
  return {
    name: 'restaurant-service.foreign-answers',
    topics: ['order_accepted'],
    // Tiffin's own stand there as well, and are not to be read again.
    types: [],
    read: foreignReader(deps, (record) => {
      const isRejected = record.status === 'REJECTED' || record.action === 'REJECT';
      const restaurantId = String(record.restaurantId ?? '');
      if (isRejected)
        return {
          eventType: 'restaurant.rejected',
          payload: {
            restaurantId,
            rejectedAt: record.rejectedAt ?? deps.clock.now(),
            reason: String(record.reason ?? 'REJECTED'),
          },
        };
      return {
        eventType: 'restaurant.accepted',
        payload: {
          restaurantId,
          acceptedAt: record.acceptedAt ?? deps.clock.now(),
          ...(record.estimatedReadyTime === undefined
            ? {}
            : { estimatedReadyTime: record.estimatedReadyTime }),
        },
      };
    }),
    async apply(tx, events) {
      const orders = await tx.lockOrders(events.map(({ orderId }) => orderId as OrderId));
      const announced: Event[] = [];
      for (const event of events) {
        const order = orders.get(event.orderId as OrderId);
        const asked = foreignAnswer(event, order);
        try {
          const { events: followed } = await answerWithin(deps, tx, order, asked);
          // Others have said it on the topic already.
          announced.push(...followed.filter(({ eventType }) => !eventType.startsWith('restaurant.')));
        } catch (error) {
          if (!(error instanceof TiffinError)) throw error;
          deps.log.info(
            { order: event.orderId, refused: error.code },
            'an answer of another system was passed over',
          );
        }
      }
      return announced;
    },
  };
}

function foreignAnswer(
  event: EventOf<'restaurant.accepted' | 'restaurant.rejected'>,
  order: Order | undefined,
): TicketAnswer {
  const said = event as EventOf<'restaurant.accepted'> | EventOf<'restaurant.rejected'>;
  const about = {
    orderId: event.orderId as OrderId,
    restaurantId: said.payload.restaurantId || (order?.restaurantId ?? ''),
    traceparent: event.traceparent,
  };
  if (said.eventType === 'restaurant.rejected')
    return { ...about, answer: { type: 'reject', reason: said.payload.reason } };
  const ready = said.payload.estimatedReadyTime;
  return {
    ...about,
    answer: { type: 'accept', ...(ready ? { estimatedReadyAt: Date.parse(ready) } : {}) },
  };
}

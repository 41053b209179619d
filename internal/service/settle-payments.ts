/** Brings the money of orders to where the orders stand: authorizes, captures, voids and refunds at the provider. */
import { isTransient, TiffinError } from '../domain/errors.ts';
import type { Event, EventOf } from '../domain/events.ts';
import type { Order, OrderId } from '../domain/order.ts';
import {
  afterStep,
  announcePayment,
  type NoAnswer,
  newPayment,
  nextStep,
  type Payment,
  type PaymentAnswer,
  type PaymentStep,
  retryDelayMs,
} from '../domain/payment.ts';
import type { Consumer } from './consume.ts';
import type { PaymentProvider, PaymentRequest, Payments } from './payment-ports.ts';
import type { Clock, Log, OrderStore } from './ports.ts';
import type { Timer } from './scheduler-ports.ts';
import { setTimers, type TimerDeps } from './set-timers.ts';

export const PRODUCER = 'payment-service';

/** Questions to the provider at a time. */
const CONCURRENCY = 32;

const TRIGGERS = [
  'inventory.reserved',
  'order.delivered',
  'order.completed',
  'order.failed',
  'order.rejected',
  'order.cancelled',
  'timer.payment',
] as const;
type Trigger = EventOf<(typeof TRIGGERS)[number]>;

export interface SettleDeps extends TimerDeps {
  readonly orders: OrderStore;
  readonly payments: Payments;
  readonly provider: PaymentProvider;
  readonly clock: Clock;
  readonly log: Log;
  readonly newEventId: () => string;
}

/** How an order's payment was found, and what was done about it. */
interface Performed {
  readonly version: number;
  readonly taken?: { readonly step: PaymentStep; readonly answer: PaymentAnswer | NoAnswer };
}

/**
 * What is to be done follows from how order and payment stand, not from which event came: events only say when to look. So
 * they may come in any order and any number. Steps have idempotency keys, so that one asked for again is done once.
 */
export function settleConsumer(deps: SettleDeps): Consumer<Trigger['eventType'], Map<OrderId, Performed>> {
  return {
    name: `${PRODUCER}.settle`,
    topics: ['raw.inventory-events', 'raw.order-events', 'timers'],
    types: TRIGGERS,
    isIdempotent: true,
    perform: (events) => askProvider(deps, events),
    async apply(tx, events, performed, afterCommit) {
      const about = triggersOf(events, performed);
      const ids = [...about.keys()];
      const orders = await tx.lockOrders(ids);
      const payments = await deps.payments.lock(tx, ids);
      const now = deps.clock.now();
      const changed: Payment[] = [];
      const announced: Event[] = [];
      const timers: Timer[] = [];
      for (const [orderId, { isReserved, traceparent }] of about) {
        const order = orders.get(orderId);
        const { version, taken } = performed.get(orderId) as Performed;
        const before = payments.get(orderId);
        if (!order) continue;
        if ((before?.version ?? 0) !== version)
          throw new TiffinError('UNAVAILABLE', `the payment of ${orderId} was changed meanwhile`);
        let payment = before;
        if (taken) {
          payment = afterStep(before ?? newPayment(order, now), taken.step, taken.answer, now);
          changed.push(payment);
          const origin = { eventId: deps.newEventId(), at: now, producer: PRODUCER, traceparent };
          const event = announcePayment(before, payment, origin);
          if (event) announced.push(event);
        }
        // The order may have gone on while the provider was asked, or the provider has not settled it.
        const next = nextStep(payment, order, isReserved);
        if (!next) continue;
        const delay = payment && next === taken?.step ? retryDelayMs(payment.attempts) : 0;
        timers.push({ kind: 'payment', orderId, dueAt: now + delay });
      }
      await deps.payments.save(tx, changed);
      await setTimers(deps, tx, timers, afterCommit);
      const isSet = new Set(timers.map(({ orderId }) => orderId));
      const runOut = events
        .filter(({ eventType, orderId }) => eventType === 'timer.payment' && !isSet.has(orderId as OrderId))
        .map(({ orderId }) => ({ kind: 'payment' as const, orderId: orderId as OrderId }));
      if (runOut.length > 0) await deps.timers.clear(tx, runOut);
      return announced;
    },
  };
}

/**
 * Of the orders that have to do with money. One whose payment nobody has written down and whose items are not reserved has
 * none, and needs no lock: whoever is asking for it at this moment will see, under the lock, where the order stands.
 */
function triggersOf(events: readonly Trigger[], performed: ReadonlyMap<OrderId, Performed>) {
  const about = new Map<OrderId, { isReserved: boolean; traceparent: string | undefined }>();
  for (const { eventType, orderId, traceparent } of events) {
    const id = orderId as OrderId;
    if (!performed.has(id)) continue;
    const isReserved = eventType === 'inventory.reserved' || about.get(id)?.isReserved === true;
    about.set(id, { isReserved, traceparent: traceparent ?? about.get(id)?.traceparent });
  }
  return about;
}

async function askProvider(deps: SettleDeps, events: readonly Trigger[]): Promise<Map<OrderId, Performed>> {
  const ids = [...new Set(events.filter(concernsMoney).map(({ orderId }) => orderId as OrderId))];
  const reserved = new Set(
    events.filter(({ eventType }) => eventType === 'inventory.reserved').map(({ orderId }) => orderId),
  );
  const payments = ids.length > 0 ? await deps.payments.find(ids) : new Map<OrderId, Payment>();
  const wanted = ids.filter((id) => payments.has(id) || reserved.has(id));
  const orders = wanted.length > 0 ? await deps.orders.find(wanted) : [];
  const performed = new Map<OrderId, Performed>();
  const requests: PaymentRequest[] = [];
  for (const order of orders) {
    const payment = payments.get(order.id);
    performed.set(order.id, { version: payment?.version ?? 0 });
    const step = nextStep(payment, order, reserved.has(order.id));
    if (step) requests.push(requestFor(step, order, payment));
  }
  for (const [{ orderId, step }, answer] of await carryOutAll(deps, requests)) {
    const version = payments.get(orderId)?.version ?? 0;
    performed.set(orderId, { version, taken: { step, answer } });
  }
  return performed;
}

/** An order without items says so as it ends; most of a shop's events may be of these, so they cost no query. */
function concernsMoney({ eventType, payload }: Trigger): boolean {
  return (eventType !== 'order.completed' && eventType !== 'order.failed') || 'items' in payload;
}

function requestFor(step: PaymentStep, order: Order, payment: Payment | undefined): PaymentRequest {
  const keyOf = (of: PaymentStep) => `${order.id}:${of}`;
  return {
    orderId: order.id,
    step,
    amount: order.total,
    idempotencyKey: keyOf(step),
    ...(step === 'authorize' ? { token: order.paymentToken } : {}),
    ...(step === 'abandon' ? { authorizationKey: keyOf('authorize') } : {}),
    ...(payment?.authorizationId === undefined ? {} : { authorizationId: payment.authorizationId }),
  };
}

/** A request without an answer is no fault of the others: its order is tried again later. */
async function carryOutAll(
  { provider, log }: SettleDeps,
  requests: readonly PaymentRequest[],
): Promise<Map<PaymentRequest, PaymentAnswer | NoAnswer>> {
  const answers = new Map<PaymentRequest, PaymentAnswer | NoAnswer>();
  const waiting = requests.values();
  let fault: { error: unknown } | undefined;
  let silences = 0;
  let reason = '';
  const worker = async () => {
    for (const request of waiting) {
      if (fault) return;
      // A provider that is away would hold the batch up for as many timeouts as it has orders.
      if (silences >= CONCURRENCY) {
        answers.set(request, { outcome: 'none' });
        continue;
      }
      try {
        answers.set(request, await provider.carryOut(request));
        silences = 0;
      } catch (error) {
        if (!isTransient(error)) {
          fault = { error };
          return;
        }
        answers.set(request, { outcome: 'none' });
        silences += 1;
        reason = (error as TiffinError).message;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, requests.length) }, worker));
  // Not before all have ended: the events are delivered again, and no step is to be under way twice at a time.
  if (fault) throw fault.error;
  const unanswered = [...answers.values()].filter(({ outcome }) => outcome === 'none').length;
  if (unanswered > 0) log.warn({ payments: unanswered, reason }, 'the payment provider gave no answer');
  return answers;
}

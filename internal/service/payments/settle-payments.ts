/** Settles payments: authorizes, captures, voids and refunds at the provider, as each order's status requires. */
import pMap from 'p-map';
import { isTransient, type TiffinError } from '../../domain/errors.ts';
import type { Event, EventOf } from '../../domain/events.ts';
import type { Order, OrderId } from '../../domain/order.ts';
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
} from '../../domain/payment.ts';
import type { OrderStore } from '../orders/ports.ts';
import type { Clock, Log } from '../ports.ts';
import type { Timer } from '../scheduling/ports.ts';
import { setTimers, type TimerDeps } from '../scheduling/set-timers.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { PaymentProvider, PaymentRequest, Payments } from './ports.ts';

export const PRODUCER = 'payment-service';

/** The largest number of requests to the provider at a time. */
const CONCURRENCY = 32;
/** Kept answers of batches that were never committed here, for instance because another process got them. */
const KEPT_ANSWERS = 10_000;

/** Final answers that are not stored yet, by idempotency key: a batch that failed comes again, and is not asked for again. */
type Kept = Map<string, PaymentAnswer>;

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

/** The version of a payment before the provider was called (0 for none), and the step with its answer, if one was due. */
interface Performed {
  readonly version: number;
  readonly attempt?: { readonly step: PaymentStep; readonly answer: PaymentAnswer | NoAnswer };
}

/**
 * Takes the next step of each payment. The step follows from the rows of order and payment, not from the event, so events
 * may come in any order and any number. Steps have idempotency keys, so a repeated request takes effect once.
 */
export function settleConsumer(deps: SettleDeps): Consumer<Trigger['eventType'], Map<OrderId, Performed>> {
  const kept: Kept = new Map();
  return {
    name: `${PRODUCER}.settle`,
    topics: ['raw.inventory-events', 'raw.order-events', 'timers'],
    types: TRIGGERS,
    isIdempotent: true,
    perform: (events) => takeSteps(deps, kept, events),
    async apply(tx, events, performed, afterCommit) {
      const triggers = triggersOf(events, performed);
      const ids = [...triggers.keys()];
      const orders = await tx.lockOrders(ids);
      const payments = await deps.payments.lock(tx, ids);
      const now = deps.clock.now();
      const changed: Payment[] = [];
      const announced: Event[] = [];
      const timers: Timer[] = [];
      for (const [orderId, { isReserved, traceparent }] of triggers) {
        const order = orders.get(orderId);
        const { version, attempt } = performed.get(orderId) as Performed;
        const before = payments.get(orderId);
        if (!order) continue;
        // Another transaction, such as that of a webhook, may have changed the payment while the provider was called. The
        // answer is then dropped, and the step that the payment needs now is taken by its timer.
        const answered = (before?.version ?? 0) === version ? attempt : undefined;
        let payment = before;
        if (answered) {
          payment = afterStep(before ?? newPayment(order, now), answered.step, answered.answer, now);
          changed.push(payment);
          const origin = { eventId: deps.newEventId(), at: now, producer: PRODUCER, traceparent };
          const event = announcePayment(before, payment, origin);
          if (event) announced.push(event);
        }
        // A step remains if the order or the payment changed meanwhile, or if the provider gave no final answer.
        const next = nextStep(payment, order, isReserved);
        if (!next) continue;
        const delay = payment && next === answered?.step ? retryDelayMs(payment.attempts) : 0;
        timers.push({ kind: 'payment', orderId, dueAt: now + delay });
      }
      afterCommit(async () => {
        for (const [orderId, { attempt }] of performed)
          if (attempt) kept.delete(keyOf(orderId, attempt.step));
      });
      await deps.payments.save(tx, changed);
      await setTimers(deps, tx, timers, afterCommit);
      const renewed = new Set(timers.map(({ orderId }) => orderId));
      const finished = events
        .filter(({ eventType, orderId }) => eventType === 'timer.payment' && !renewed.has(orderId as OrderId))
        .map(({ orderId }) => ({ kind: 'payment' as const, orderId: orderId as OrderId }));
      if (finished.length > 0) await deps.timers.clear(tx, finished);
      return announced;
    },
  };
}

/**
 * The events' facts by order, for the orders in `performed`. An order without a stored payment and without reserved items
 * needs no step and no lock: a process that requests its authorization now sees the order's status under the lock.
 */
function triggersOf(events: readonly Trigger[], performed: ReadonlyMap<OrderId, Performed>) {
  const triggers = new Map<OrderId, { isReserved: boolean; traceparent: string | undefined }>();
  for (const { eventType, orderId, traceparent } of events) {
    const id = orderId as OrderId;
    if (!performed.has(id)) continue;
    const isReserved = eventType === 'inventory.reserved' || triggers.get(id)?.isReserved === true;
    triggers.set(id, { isReserved, traceparent: traceparent ?? triggers.get(id)?.traceparent });
  }
  return triggers;
}

/** Sends the next step of each payment to the provider. */
async function takeSteps(
  deps: SettleDeps,
  kept: Kept,
  events: readonly Trigger[],
): Promise<Map<OrderId, Performed>> {
  const ids = [...new Set(events.filter(concernsMoney).map(({ orderId }) => orderId as OrderId))];
  const reserved = new Set(
    events.filter(({ eventType }) => eventType === 'inventory.reserved').map(({ orderId }) => orderId),
  );
  const payments = ids.length > 0 ? await deps.payments.find(ids) : new Map<OrderId, Payment>();
  const payable = ids.filter((id) => payments.has(id) || reserved.has(id));
  const orders = payable.length > 0 ? await deps.orders.find(payable) : [];
  const performed = new Map<OrderId, Performed>();
  const requests: PaymentRequest[] = [];
  for (const order of orders) {
    const payment = payments.get(order.id);
    performed.set(order.id, { version: payment?.version ?? 0 });
    const step = nextStep(payment, order, reserved.has(order.id));
    if (step) requests.push(requestFor(step, order, payment));
  }
  for (const [{ orderId, step }, answer] of await carryOutAll(deps, kept, requests)) {
    const version = payments.get(orderId)?.version ?? 0;
    performed.set(orderId, { version, attempt: { step, answer } });
  }
  return performed;
}

/** False for the completion or failure of an order without items; such orders may be most of all, and cost no query. */
function concernsMoney({ eventType, payload }: Trigger): boolean {
  return (eventType !== 'order.completed' && eventType !== 'order.failed') || 'items' in payload;
}

/** The idempotency key of an order's step. */
function keyOf(orderId: OrderId, step: PaymentStep): string {
  return `${orderId}:${step}`;
}

function requestFor(step: PaymentStep, order: Order, payment: Payment | undefined): PaymentRequest {
  return {
    orderId: order.id,
    step,
    amount: order.total,
    idempotencyKey: keyOf(order.id, step),
    ...(step === 'authorize' ? { token: order.paymentToken } : {}),
    ...(step === 'abandon' ? { authorizationKey: keyOf(order.id, 'authorize') } : {}),
    ...(payment?.authorizationId === undefined ? {} : { authorizationId: payment.authorizationId }),
  };
}

/** False for a pending answer, and for one that `afterStep` refuses: the replay of its dead letter asks the provider again. */
function canBeStored(step: PaymentStep, answer: PaymentAnswer): boolean {
  if (step !== 'authorize') return answer.outcome === 'done';
  return answer.outcome === 'declined' || (answer.outcome === 'done' && Boolean(answer.authorizationId));
}

/** Sends all requests. One that gets no answer does not fail the batch; its step is retried by a timer. */
async function carryOutAll(
  { provider, log }: SettleDeps,
  kept: Kept,
  requests: readonly PaymentRequest[],
): Promise<Map<PaymentRequest, PaymentAnswer | NoAnswer>> {
  const answers = new Map<PaymentRequest, PaymentAnswer | NoAnswer>();
  let fault: { error: unknown } | undefined;
  /** Requests in a row that got no answer. */
  let timeouts = 0;
  let reason = '';
  if (kept.size > KEPT_ANSWERS) kept.clear();
  const carryOut = async (request: PaymentRequest) => {
    const known = kept.get(request.idempotencyKey);
    if (known) answers.set(request, known);
    if (known || fault) return;
    // A provider that is down would delay the batch by a timeout for each order.
    if (timeouts >= CONCURRENCY) {
      answers.set(request, { outcome: 'none' });
      return;
    }
    try {
      const answer = await provider.carryOut(request);
      answers.set(request, answer);
      if (canBeStored(request.step, answer)) kept.set(request.idempotencyKey, answer);
      timeouts = 0;
    } catch (error) {
      if (!isTransient(error)) {
        fault = { error };
        return;
      }
      answers.set(request, { outcome: 'none' });
      timeouts += 1;
      reason = (error as TiffinError).message;
    }
  };
  await pMap(requests, carryOut, { concurrency: CONCURRENCY });
  // Thrown only after all requests have ended: the events are redelivered, and a step must not run twice at a time.
  if (fault) throw fault.error;
  const unanswered = [...answers.values()].filter(({ outcome }) => outcome === 'none').length;
  if (unanswered > 0) log.warn({ payments: unanswered, reason }, 'the payment provider gave no answer');
  return answers;
}

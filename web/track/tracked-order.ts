/** What the page of a link says about an order; pure functions of the order as the API shows it, and of now, epoch ms. */
import type { components } from '../api.d.ts';
import { timeText } from '../times.ts';
import { isFinal, reasonText } from '../words.ts';

export interface Place {
  readonly latitude: number;
  readonly longitude: number;
}
export interface RiderPlace extends Place {
  readonly at: string;
}
interface Window {
  readonly from: string;
  readonly to: string;
}

/** Fields of versions to come are optional: a page of this version shows them where the server sends them. */
export type Tracked = Omit<components['schemas']['FollowedOrder'], 'arrival' | 'status' | 'link'> & {
  readonly status: string;
  readonly arrival:
    | (Window & { readonly why?: string; readonly changedAt?: string; readonly before?: Window })
    | null;
  readonly delivery?: {
    readonly restaurant?: Place;
    readonly destination?: Place;
    readonly rider?: RiderPlace;
  } | null;
  readonly refund?: { readonly state: 'NONE' | 'PENDING' | 'DONE'; readonly amount: number };
  readonly cancelCosts?: number;
};

const HEADLINES: Readonly<Record<string, string>> = {
  CREATED: 'We have your order',
  PROCESSING: 'We are checking your order',
  CONFIRMED: 'Your order is confirmed',
  ACCEPTED: 'The restaurant has your order',
  PREPARING: 'Your order is being prepared',
  RIDER_ASSIGNED: 'A rider is picking up your order',
  OUT_FOR_DELIVERY: 'Your order is on its way',
  DELIVERED: 'Delivered. Enjoy!',
  COMPLETED: 'Your order is complete',
  FAILED: 'Your order could not be completed',
  REJECTED: 'The restaurant could not take your order',
  CANCELLED: 'Your order is cancelled',
};
const STEPS: Readonly<Record<string, string>> = {
  CREATED: 'Order placed',
  CONFIRMED: 'Confirmed',
  ACCEPTED: 'Accepted by the restaurant',
  PREPARING: 'Being prepared',
  RIDER_ASSIGNED: 'Rider assigned',
  OUT_FOR_DELIVERY: 'On its way',
  DELIVERED: 'Delivered',
  COMPLETED: 'Completed',
  FAILED: 'Not completed',
  REJECTED: 'Declined by the restaurant',
  CANCELLED: 'Cancelled',
};
const WHY: Readonly<Record<string, string>> = {
  RIDER_ASSIGNED: 'A rider was assigned',
  PICKED_UP: 'The rider has your order',
  KITCHEN: 'The kitchen needs this time',
  KITCHEN_LATE: 'The kitchen is taking longer',
  RIDER_POSITION: 'The rider’s position tells more',
  TIME_PASSED: 'It is taking longer than expected',
};
const HAPPY = ['DELIVERED', 'COMPLETED'];

export function isWaiting({ status, dueAt }: Tracked, now: number): boolean {
  return status === 'CREATED' && Date.parse(dueAt) > now;
}

export function headlineOf(order: Tracked, now: number): string {
  if (isWaiting(order, now)) return 'Your order is scheduled';
  return HEADLINES[order.status] ?? order.status;
}

export function moodOf({ status }: Tracked): 'open' | 'good' | 'bad' {
  if (!isFinal({ status })) return 'open';
  return HAPPY.includes(status) ? 'good' : 'bad';
}

/** The reason of an order that ended badly, as a sentence. */
export function reasonOf({ reason }: Tracked): string {
  if (!reason) return '';
  const text = reasonText(reason);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Why the window of arrival moved, and from where. */
export function whyOf(arrival: NonNullable<Tracked['arrival']>, now: number): string {
  const { why, before } = arrival;
  if (!why) return '';
  const moved = before ? ` Before, it was ${windowText(before, now)}.` : '';
  return `${WHY[why] ?? reasonText(why)}.${moved}`;
}

export function windowText({ from, to }: Window, now: number): string {
  const [first, last] = [new Date(from), new Date(to)];
  if (timeText(from, now, 'short') === timeText(to, now, 'short')) return timeText(to, now, 'short');
  const isToday = first.toDateString() === new Date(now).toDateString();
  const day = isToday ? {} : ({ month: 'short', day: 'numeric' } as const);
  return new Intl.DateTimeFormat([], { ...day, hour: 'numeric', minute: '2-digit' }).formatRange(first, last);
}

export interface Step {
  readonly status: string;
  readonly text: string;
  readonly state: 'done' | 'current' | 'ahead' | 'failed';
  readonly at?: string;
}

/** The steps that a customer cares about: an order that is being processed is still one that was placed. */
export function stepsOf({ steps, status, timeline }: Tracked): readonly Step[] {
  const shown: readonly string[] = steps.filter((step) => step !== 'PROCESSING');
  const timeOf = (step: string) => timeline.find((entry) => entry.status === step)?.at;
  const isGood = shown.includes(status) || status === 'PROCESSING';
  const current = shown.indexOf(status === 'PROCESSING' ? 'CREATED' : status);
  const toStep = (step: string, state: Step['state']): Step => {
    const at = timeOf(step);
    return { status: step, text: STEPS[step] ?? step, state, ...(at ? { at } : {}) };
  };
  if (!isGood) return [...shown.filter(timeOf).map((step) => toStep(step, 'done')), toStep(status, 'failed')];
  return shown.map((step, n) => {
    if (n < current || (n === current && isFinal({ status }))) return toStep(step, 'done');
    return toStep(step, n === current ? 'current' : 'ahead');
  });
}

/** What happens to the money, in one sentence. */
export function moneyText(
  { payment, refund, status, totalAmount }: Tracked,
  amount: (value: number) => string,
): string {
  if (refund?.state === 'PENDING') return `${amount(refund.amount)} is being given back.`;
  if (refund?.state === 'DONE')
    return payment === 'REFUNDED'
      ? `${amount(refund.amount)} was refunded.`
      : `The hold of ${amount(refund.amount)} was released.`;
  if (payment === 'CAPTURED') return `${amount(totalAmount)} was charged.`;
  if (payment === 'AUTHORIZED')
    return isFinal({ status })
      ? `${amount(totalAmount)} is held.`
      : `${amount(totalAmount)} is held, and charged at the end.`;
  if (payment === 'VOIDED') return 'The hold on your card was released.';
  if (payment === 'REFUNDED') return 'The money was refunded.';
  if (payment === 'FAILED') return 'The card was declined; nothing was charged.';
  return 'Nothing has been charged.';
}

/** What it costs to cancel now. */
export function cancelText({ cancelCosts, payment }: Tracked, amount: (value: number) => string): string {
  if (cancelCosts) return `Cancelling now costs ${amount(cancelCosts)}.`;
  if (payment === 'CAPTURED') return 'It costs nothing: what you paid is refunded.';
  if (payment === 'AUTHORIZED') return 'It costs nothing: the hold on your card is released.';
  return 'It costs nothing: nothing has been charged.';
}

/** '2 d 3 h', '2 h 14 min', '12:05'. */
export function countdownText(until: number, now: number): string {
  const left = Math.max(0, Math.ceil((until - now) / 1_000));
  const [days, hours, minutes, seconds] = [
    left / 86_400,
    (left / 3_600) % 24,
    (left / 60) % 60,
    left % 60,
  ].map(Math.floor) as [number, number, number, number];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return `${minutes}:${String(seconds).padStart(2, '0')}`;
}

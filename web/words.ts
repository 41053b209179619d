/** The words of the pages for what the API says; pure functions. */

/** The text of each status, and the value that the `status` of `/ui/orders/{id}` has for it. */
const STATUSES: Readonly<Record<string, readonly [text: string, word: string]>> = {
  CREATED: ['Placed', 'CREATED'],
  PROCESSING: ['Being processed', 'CREATED'],
  CONFIRMED: ['Confirmed', 'CONFIRMED'],
  ACCEPTED: ['Accepted by the restaurant', 'CONFIRMED'],
  PREPARING: ['Being prepared', 'CONFIRMED'],
  RIDER_ASSIGNED: ['A rider is assigned', 'ASSIGNED'],
  OUT_FOR_DELIVERY: ['On its way', 'OUT_FOR_DELIVERY'],
  DELIVERED: ['Delivered', 'DELIVERED'],
  COMPLETED: ['Completed', 'COMPLETED'],
  FAILED: ['Failed', 'FAILED'],
  REJECTED: ['Rejected by the restaurant', 'FAILED'],
  CANCELLED: ['Cancelled', 'CANCELLED'],
};
const STOCK: Readonly<Record<string, string>> = {
  NONE: 'Nothing to reserve',
  PENDING: 'Not reserved yet',
  RESERVED: 'Reserved',
  REJECTED: 'Out of stock',
  RELEASED: 'Released',
};
const PAYMENT: Readonly<Record<string, string>> = {
  NONE: 'No payment',
  PENDING: 'Not authorised yet',
  AUTHORIZED: 'Authorised',
  FAILED: 'Declined',
  CAPTURED: 'Paid',
  VOIDED: 'Authorisation voided',
  REFUNDED: 'Refunded',
};
const FINAL = ['DELIVERED', 'COMPLETED', 'FAILED', 'REJECTED', 'CANCELLED'];

export function isFinal({ status }: { readonly status: string }): boolean {
  return FINAL.includes(status);
}

/** The text of a timeline entry; an unknown entry is shown unchanged. */
export function stepText(status: string): string {
  if (status === 'RESCHEDULED') return 'Rescheduled';
  return STATUSES[status]?.[0] ?? status;
}

export interface Told {
  readonly status: string;
  readonly reason?: string;
  readonly timeline: readonly { readonly status: string }[];
}

/** The text of the most precise status: the timeline distinguishes more statuses than `status`. */
export function headline({ status, reason, timeline }: Told): string {
  // Skips late entries: the timeline has them too, but they belong to another `status`.
  const step = timeline.findLast((entry) => STATUSES[entry.status]?.[1] === status);
  const text = stepText(step?.status ?? status);
  return reason ? `${text}: ${reasonText(reason)}` : text;
}

export function stockText(stock: string): string {
  return STOCK[stock] ?? stock;
}

export function paymentText(payment: string): string {
  return PAYMENT[payment] ?? payment;
}

/** Turns a code such as 'OUT_OF_STOCK' into words; a text that a person wrote stays unchanged. */
export function reasonText(reason: string): string {
  return /^[A-Z0-9_]+$/.test(reason) ? reason.toLowerCase().replaceAll('_', ' ') : reason;
}

export function moneyText(amount: number, currency: string): string {
  return amount.toLocaleString([], { style: 'currency', currency });
}

/** An id as people read it: the end of a long one, which tells orders of one time apart. */
export function shortId(id: string): string {
  return id.length > 14 ? `…${id.slice(-8)}` : id;
}

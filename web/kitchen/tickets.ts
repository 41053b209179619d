/** What a kitchen's page says about its tickets; pure functions of the tickets as the API shows them, and of now, epoch ms. */
import type { components } from '../api.d.ts';

export type Ticket = components['schemas']['Ticket'];

export interface Board {
  readonly restaurantId: string;
  readonly name: string;
  readonly preparationS: number;
  readonly orders: readonly Ticket[];
  readonly hasMore: boolean;
}

const MINUTE_MS = 60_000;
const LEAST_MINUTES = 5;

export interface Lanes {
  readonly fresh: readonly Ticket[];
  readonly cooking: readonly Ticket[];
  readonly ready: readonly Ticket[];
}

export function lanesOf(orders: readonly Ticket[]): Lanes {
  const accepted = orders.filter(({ status }) => status === 'ACCEPTED');
  return {
    fresh: orders.filter(({ status }) => status === 'OPEN'),
    cooking: accepted.filter(({ readyAt }) => !readyAt),
    ready: accepted.filter(({ readyAt }) => readyAt),
  };
}

/** The open tickets of `now` that were not there before; none for the first board, which is not news. */
export function arrivedSince(
  before: readonly Ticket[] | undefined,
  now: readonly Ticket[],
): readonly Ticket[] {
  if (!before) return [];
  const known = new Set(before.map(({ orderId }) => orderId));
  return now.filter(({ orderId, status }) => status === 'OPEN' && !known.has(orderId));
}

/** The minutes that are proposed to a kitchen that accepts: its usual time, in steps of five. */
export function usualMinutes({ preparationS }: Pick<Board, 'preparationS'>): number {
  return Math.max(LEAST_MINUTES, Math.ceil(preparationS / 300) * 5);
}

/** 'just now', '1 min ago', '2 h ago'. */
export function sinceText(at: string, now: number): string {
  const minutes = Math.floor((now - Date.parse(at)) / MINUTE_MS);
  if (minutes < 1) return 'just now';
  return minutes < 120 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`;
}

/** How the time at which it should be ready stands: '12 min left', 'now', '3 min late'. */
export function leftText(at: string, now: number): { readonly text: string; readonly isLate: boolean } {
  const minutes = Math.ceil((Date.parse(at) - now) / MINUTE_MS);
  if (minutes > 0) return { text: `${minutes} min left`, isLate: false };
  return minutes === 0 ? { text: 'due now', isLate: false } : { text: `${-minutes} min late`, isLate: true };
}

export function contentText({ items }: Pick<Ticket, 'items'>): string {
  return items.map(({ itemId, name, quantity }) => `${quantity} × ${name ?? itemId}`).join(', ');
}

/** Who takes a ready order, and how far that is. */
export function takerText({ leavesBy, orderStatus }: Pick<Ticket, 'leavesBy' | 'orderStatus'>): string {
  if (leavesBy === 'CUSTOMER') return 'The customer collects it.';
  return orderStatus === 'RIDER_ASSIGNED' ? 'A rider is on the way to you.' : 'Waiting for a rider.';
}

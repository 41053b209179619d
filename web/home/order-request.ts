/** Builds the request for a new order from the form's values, and sorts the faults of its answer; pure functions. */
import type { Fault } from '../faults.ts';
import { toRfc3339 } from '../times.ts';

export type Kind = 'delivered' | 'items' | 'amount';

export interface Line {
  readonly itemId: string;
  readonly quantity: string;
  readonly unitPrice: string;
}

export interface Values {
  readonly customerId: string;
  readonly customerName: string;
  readonly totalPrice: string;
  readonly restaurantId: string;
  readonly lines: readonly Line[];
  readonly address: Readonly<Record<'street' | 'city' | 'state' | 'zipCode', string>>;
  readonly time: string;
  readonly card: string;
}

export interface OrderRequest {
  readonly path: '/orders' | '/v1/orders';
  readonly body: Readonly<Record<string, unknown>>;
}

/** Empty fields are omitted, so that the server names what is missing. */
export function toRequest(kind: Kind, values: Values): OrderRequest {
  const { customerId, customerName, totalPrice, restaurantId, lines, address, time, card } = values;
  const scheduled = toRfc3339(time);
  if (kind === 'amount') {
    const body = given({ customer_name: customerName, total_price: totalPrice, scheduled_time: scheduled });
    return { path: '/orders', body };
  }
  const isDelivered = kind === 'delivered';
  const body = {
    ...given({ customerId, restaurantId: isDelivered ? restaurantId : '', scheduledAt: scheduled }),
    items: lines.map(({ itemId, quantity, unitPrice }) => ({
      ...given({ itemId, unitPrice: isDelivered ? '' : unitPrice }),
      ...(quantity === '' ? {} : { quantity: Number(quantity) }),
    })),
    ...(isDelivered ? { deliveryAddress: given(address) } : {}),
    ...(card ? { payment: { token: card } } : {}),
  };
  return { path: isDelivered ? '/v1/orders' : '/orders', body };
}

function given(fields: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''));
}

export interface SortedFaults {
  /** Sentences by the JSON pointer of their field. */
  readonly beside: ReadonlyMap<string, readonly string[]>;
  readonly others: readonly string[];
}

/** Splits the faults of an answer into those of visible fields, by pointer, and all others. */
export function sortFaults(faults: readonly Fault[], pointers: ReadonlySet<string>): SortedFaults {
  const beside = new Map<string, readonly string[]>();
  const others: string[] = [];
  for (const { detail, pointer } of faults) {
    if (pointer !== undefined && pointers.has(pointer))
      beside.set(pointer, [...(beside.get(pointer) ?? []), detail]);
    else others.push(detail);
  }
  return { beside, others };
}

export interface RequestKeys {
  of(request: unknown): string;
  done(): void;
}

/** Idempotency keys: a repeated request keeps its key; a different request, or one after `done()`, gets a new key. */
export function requestKeys(newKey: () => string): RequestKeys {
  let last: { readonly text: string; readonly key: string } | undefined;
  return {
    of(request) {
      const text = JSON.stringify(request);
      if (last?.text !== text) last = { text, key: newKey() };
      return last.key;
    },
    done() {
      last = undefined;
    },
  };
}

/** 128 random bits. Unlike crypto.randomUUID this also works on pages that were served over plain HTTP. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

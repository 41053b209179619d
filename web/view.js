/** Functions that build the page's requests and texts; they use no elements, so that tests can call them. */

/** The text of each status, and the value that the view's `status` has for it. */
const STATUSES = {
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
const STOCK = {
  NONE: 'Nothing to reserve',
  PENDING: 'Not reserved yet',
  RESERVED: 'Reserved',
  REJECTED: 'Out of stock',
  RELEASED: 'Released',
};
const PAYMENT = {
  NONE: 'No payment',
  PENDING: 'Not authorised yet',
  AUTHORIZED: 'Authorised',
  FAILED: 'Declined',
  CAPTURED: 'Paid',
  VOIDED: 'Authorisation voided',
  REFUNDED: 'Refunded',
};
const FINAL = ['DELIVERED', 'COMPLETED', 'FAILED', 'CANCELLED'];
const MOST_RECENT = 10;
/** The latest time that a Date can hold, epoch ms. */
const LAST_TIME = 8.64e15;
const LONGEST_PAUSE_MS = 15_000;

const MINUTE_MS = 60_000;

export function isFinal({ status }) {
  return FINAL.includes(status);
}

/** The text of a timeline entry; an unknown entry is shown unchanged. */
export function stepText(status) {
  if (status === 'RESCHEDULED') return 'Rescheduled';
  return STATUSES[status]?.[0] ?? status;
}

/** The text of the most precise status: the timeline distinguishes more statuses than the view's `status`. */
export function headline({ status, reason, timeline }) {
  // Skips late entries: the timeline has them too, but they belong to another `status`.
  const step = timeline.findLast((entry) => STATUSES[entry.status]?.[1] === status);
  const text = stepText(step?.status ?? status);
  return reason ? `${text}: ${reasonText(reason)}` : text;
}

export function stockText({ inventory }) {
  return STOCK[inventory] ?? inventory;
}

export function paymentText({ payment }) {
  return PAYMENT[payment] ?? payment;
}

/** Turns a code such as 'OUT_OF_STOCK' into words; a text that a person wrote stays unchanged. */
export function reasonText(reason) {
  return /^[A-Z0-9_]+$/.test(reason) ? reason.toLowerCase().replaceAll('_', ' ') : reason;
}

/** The minutes until arrival, counted from `now`, epoch ms. */
export function etaText({ median, p90 }, now) {
  const [from, to] = [median, p90].map((at) => Math.max(0, Math.ceil((Date.parse(at) - now) / MINUTE_MS)));
  if (to === 0) return 'any moment now';
  if (from === 0) return `within ${to} min`;
  return from === to ? `in ${to} min` : `in ${from} to ${to} min`;
}

/** A time as text, with its date unless it is today; the style 'short' has no seconds. */
export function timeText(at, now, timeStyle = 'medium') {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date(now).toDateString();
  return isToday
    ? date.toLocaleTimeString([], { timeStyle })
    : date.toLocaleString([], { dateStyle: 'medium', timeStyle });
}

/** The value of a datetime-local field in RFC 3339, with the local offset at that time; empty if there is none. */
export function toRfc3339(local) {
  const date = new Date(local);
  if (Number.isNaN(date.getTime())) return '';
  const ahead = -date.getTimezoneOffset();
  const two = (number) => String(Math.trunc(number)).padStart(2, '0');
  // Not the field's own text: Date moves a time that a change of clocks skips.
  const day = [String(date.getFullYear()).padStart(4, '0'), two(date.getMonth() + 1), two(date.getDate())];
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two);
  const offset = `${ahead < 0 ? '-' : '+'}${two(Math.abs(ahead) / 60)}:${two(Math.abs(ahead) % 60)}`;
  return `${day.join('-')}T${time.join(':')}${offset}`;
}

/** The request for the values of the form. Empty fields are omitted, so that the server names what is missing. */
export function toRequest(
  kind,
  { customerId, customerName, totalPrice, restaurantId, lines, address, time, card },
) {
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

function given(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''));
}

/** Splits the errors of an answer into those of visible fields, by pointer, and all others. */
export function sortFaults(errors, pointers) {
  const beside = new Map();
  const others = [];
  for (const { detail, pointer } of errors) {
    if (pointers.has(pointer)) beside.set(pointer, [...(beside.get(pointer) ?? []), detail]);
    else others.push(detail);
  }
  return { beside, others };
}

/** Idempotency keys: a repeated request keeps its key; a different request, or one after `done()`, gets a new key. */
export function requestKeys(newKey) {
  let last;
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
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

/** Reads Server-Sent Events from text in pieces of any size; calls `onEvent` with the type and data of each event. */
export function eventReader(onEvent) {
  let rest = '';
  let type = '';
  let data = [];
  return (piece) => {
    // A CR at the end may be the first half of a CRLF.
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === 'event') type = value;
      if (field === 'data') data.push(value);
      if (line !== '') continue;
      if (data.length > 0) onEvent(type || 'message', data.join('\n'));
      type = '';
      data = [];
    }
  };
}

/** The backoff after `failures` in a row, ms; `random`, 0 to 1, keeps many pages from reconnecting at once. */
export function pauseMs(failures, random) {
  return Math.min(LONGEST_PAUSE_MS, 500 * 2 ** failures) * (0.5 + random / 2);
}

/** Puts the entry first and removes its older copy; at most MOST_RECENT entries. */
export function remember(recent, entry) {
  return [entry, ...recent.filter(({ id }) => id !== entry.id)].slice(0, MOST_RECENT);
}

/** Reads the stored recent orders; invalid entries are dropped. */
export function readRecent(text) {
  try {
    const kept = JSON.parse(text);
    return kept
      .filter(({ id, at }) => typeof id === 'string' && id && Math.abs(at) <= LAST_TIME)
      .map(({ id, at }) => ({ id, at }))
      .slice(0, MOST_RECENT);
  } catch {
    return [];
  }
}

/** The order id in a URL's hash, such as '#order=123'. */
export function orderOf(hash) {
  return new URLSearchParams(hash.slice(1)).get('order')?.trim() || undefined;
}

export function hashOf(id) {
  return `#order=${encodeURIComponent(id)}`;
}

/** What the page asks for and what it says of an order: functions that know nothing of the page, so that tests can ask them. */

/** What each status says, and the word that `status` of the view has for it. */
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
  REJECTED: ['Refused by the restaurant', 'FAILED'],
  CANCELLED: ['Cancelled', 'CANCELLED'],
};
const STOCK = {
  NONE: 'Nothing to put aside',
  PENDING: 'Not put aside yet',
  RESERVED: 'Put aside',
  REJECTED: 'Not in stock',
  RELEASED: 'Given back',
};
const PAYMENT = {
  NONE: 'Nothing to pay here',
  PENDING: 'Not authorised yet',
  AUTHORIZED: 'Authorised',
  FAILED: 'Declined',
  CAPTURED: 'Paid',
  VOIDED: 'Authorisation given up',
  REFUNDED: 'Paid back',
};
const FINAL = ['DELIVERED', 'COMPLETED', 'FAILED', 'CANCELLED'];
const MOST_RECENT = 10;
/** Ms; beyond it there are no dates. */
const LAST_TIME = 8.64e15;
const LONGEST_PAUSE_MS = 15_000;

const MINUTE_MS = 60_000;

export function isFinal({ status }) {
  return FINAL.includes(status);
}

/** An entry of the timeline; a fact that has no words here speaks for itself. */
export function stepText(status) {
  if (status === 'RESCHEDULED') return 'Moved to another time';
  return STATUSES[status]?.[0] ?? status;
}

/** Where the order stands, in the closest words there are: the timeline tells more states apart than `status` does. */
export function headline({ status, reason, timeline }) {
  // A fact that came late stands in the timeline, too, but under another word.
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

/** 'OUT_OF_STOCK' is a code; what has small letters or spaces was written by someone. */
export function reasonText(reason) {
  return /^[A-Z0-9_]+$/.test(reason) ? reason.toLowerCase().replaceAll('_', ' ') : reason;
}

/** How long it will take from `now`, epoch ms. */
export function etaText({ median, p90 }, now) {
  const [from, to] = [median, p90].map((at) => Math.max(0, Math.ceil((Date.parse(at) - now) / MINUTE_MS)));
  if (to === 0) return 'any moment now';
  if (from === 0) return `within ${to} min`;
  return from === to ? `in ${to} min` : `in ${from} to ${to} min`;
}

/** A time of this day without its date; 'short' is without seconds. */
export function timeText(at, now, timeStyle = 'medium') {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date(now).toDateString();
  return isToday
    ? date.toLocaleTimeString([], { timeStyle })
    : date.toLocaleString([], { dateStyle: 'medium', timeStyle });
}

/** What a datetime-local field says, in RFC 3339 with the offset that holds here at that time; empty for none. */
export function toRfc3339(local) {
  const date = new Date(local);
  if (Number.isNaN(date.getTime())) return '';
  const ahead = -date.getTimezoneOffset();
  const two = (number) => String(Math.trunc(number)).padStart(2, '0');
  // Not the field's own text: a time that the clocks skip is another one.
  const day = [String(date.getFullYear()).padStart(4, '0'), two(date.getMonth() + 1), two(date.getDate())];
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two);
  const offset = `${ahead < 0 ? '-' : '+'}${two(Math.abs(ahead) / 60)}:${two(Math.abs(ahead) % 60)}`;
  return `${day.join('-')}T${time.join(':')}${offset}`;
}

/** The request for a form's values, all text as it was typed; what was left empty is left out, so that the server says what is missing. */
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

/** The faults of an answer: those of the fields that there are, by pointer, and the rest. */
export function sortFaults(errors, pointers) {
  const beside = new Map();
  const others = [];
  for (const { detail, pointer } of errors) {
    if (pointers.has(pointer)) beside.set(pointer, [...(beside.get(pointer) ?? []), detail]);
    else others.push(detail);
  }
  return { beside, others };
}

/** A key for each thing that is asked for: the same while it is asked again, another once it was done or something else is asked. */
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

/** 128 random bits. Unlike crypto.randomUUID this is there on pages that came over plain HTTP as well. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

/** Takes a text of Server-Sent Events in pieces, cut anywhere, and calls back with the type and the data of each event. */
export function eventReader(onEvent) {
  let rest = '';
  let type = '';
  let data = [];
  return (piece) => {
    // A CR at the end may be the half of a line's end.
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

/** Ms to wait before the next attempt, after `failures` in a row; `random` from 0 to 1 keeps many pages from coming back at once. */
export function pauseMs(failures, random) {
  return Math.min(LONGEST_PAUSE_MS, 500 * 2 ** failures) * (0.5 + random / 2);
}

/** The newest first, each once. */
export function remember(recent, entry) {
  return [entry, ...recent.filter(({ id }) => id !== entry.id)].slice(0, MOST_RECENT);
}

/** What the browser kept, whatever became of it meanwhile. */
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

/** The order that an address such as '#order=123' is about. */
export function orderOf(hash) {
  return new URLSearchParams(hash.slice(1)).get('order')?.trim() || undefined;
}

export function hashOf(id) {
  return `#order=${encodeURIComponent(id)}`;
}

/** The form for a new order, with each fault of the server's answer at its field. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { againOf } from '../again.ts';
import { type Fault, faultsIn } from '../faults.ts';
import { allowed, OUT_OF_REACH, send } from '../server.ts';
import { Address } from './address.tsx';
import { Faults, FaultsAt, Field } from './field.tsx';
import { ItemLine } from './item-line.tsx';
import { Menu } from './menu.tsx';
import {
  type Kind,
  type Line,
  randomKey,
  requestKeys,
  sortFaults,
  toRequest,
  type Values,
} from './order-request.ts';
import { QuoteBox } from './quote.tsx';
import { hashOf } from './recent-orders.ts';
import { linkTo } from './tracking-link.ts';

const KINDS: readonly (readonly [Kind, string])[] = [
  ['delivered', 'Delivery from a restaurant'],
  ['items', 'Items'],
  ['amount', 'Amount only'],
];
const CARDS: readonly (readonly [string, string])[] = [
  ['tok_approve', 'approved'],
  ['tok_decline', 'declined'],
  ['tok_timeout', 'charged, but the first answer is lost'],
  ['tok_flaky', 'no answer three times, then approved'],
  ['tok_pending', 'approved when asked again'],
];
const ITEMS = [
  ...['PIZZA-001', 'DRINK-003', 'sushi-set', 'pho-bo', 'pizza-pepperoni', 'burger-classic', 'fries-large'],
  'item-zero-stock',
];
const CUSTOMER = 'tiffin.customer';
const START: Values = {
  ...{ customerId: '', customerName: '', totalPrice: '', restaurantId: '', time: '' },
  lines: [],
  address: { street: '', city: '', state: '', zipCode: '' },
  card: 'tok_approve',
};

function lineOf(itemId: string, quantity = 1): Line {
  return { itemId, quantity: String(quantity), unitPrice: '' };
}

/** An earlier order that was not of a restaurant. */
function isByItems(): boolean {
  const again = againOf(location.hash);
  return again !== undefined && again.restaurantId === undefined;
}

/** With the items of an earlier order, if the address names some. */
function startValues(): Values {
  const again = againOf(location.hash);
  const customerId = customer();
  if (!again) return { ...START, customerId };
  const lines = again.items.map(({ itemId, quantity }) => lineOf(itemId, quantity));
  return { ...START, customerId, lines, restaurantId: again.restaurantId ?? '' };
}

const keys = requestKeys(randomKey);

/** Who orders from this browser; a server that asks for tokens wants the one of the token. */
function customer(): string {
  const known = allowed(() => localStorage.getItem(CUSTOMER)) ?? `guest-${randomKey().slice(0, 8)}`;
  allowed(() => localStorage.setItem(CUSTOMER, known));
  return known;
}

export function OrderForm({ onPlaced }: { readonly onPlaced: (id: string) => void }) {
  const form = useRef<HTMLFormElement>(null);
  const [kind, setKind] = useState<Kind>(() => (isByItems() ? 'items' : 'delivered'));
  const [values, setValues] = useState(startValues);
  const [faults, setFaults] = useState<readonly Fault[]>([]);
  const [isBusy, setBusy] = useState(false);
  const change = (part: Partial<Values>) => setValues((last) => ({ ...last, ...part }));
  const changeLine = (n: number, part: Partial<Line>) =>
    change({ lines: values.lines.map((line, at) => (at === n ? { ...line, ...part } : line)) });
  const { beside, others } = sortFaults(faults, new Set(pointersOf(kind, values)));

  useLayoutEffect(() => {
    if (faults.length > 0) form.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus();
  }, [faults]);

  function choose(next: Kind): void {
    setKind(next);
    if (next === 'items' && values.lines.length === 0) change({ lines: [lineOf('')] });
  }

  async function place(): Promise<void> {
    const { path, body } = toRequest(kind, trimmed(values));
    try {
      const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': keys.of([path, body]) };
      const response = await send(path, { method: 'POST', headers, body: JSON.stringify(body) });
      const answer = await response.json().catch(() => undefined);
      if (!response.ok) return setFaults(faultsIn(answer, response.status));
      keys.done();
      onPlaced(answer.orderId);
      const link = await linkTo(answer.orderId, 'change');
      if (link) location.assign(link);
      else location.hash = hashOf(answer.orderId);
    } catch {
      setFaults([{ detail: `${OUT_OF_REACH} Try again; the order will not be placed twice.` }]);
    }
  }

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    setFaults([]);
    await place();
    setBusy(false);
  }

  return (
    <form id="order" ref={form} noValidate aria-labelledby="order-title" aria-busy={isBusy} onSubmit={submit}>
      <h2 id="order-title">New order</h2>
      <Faults.Provider value={beside}>
        <fieldset class="kinds">
          <legend class="unseen">Kind of order</legend>
          {KINDS.map(([value, text]) => (
            <label key={value} class="choice">
              <input type="radio" name="kind" checked={kind === value} onChange={() => choose(value)} />{' '}
              {text}
            </label>
          ))}
        </fieldset>
        <div class="part">
          {kind === 'delivered' && <Menu {...values} onChange={change} />}
          {kind === 'items' && (
            <fieldset>
              <legend>Items</legend>
              {values.lines.map((line, n) => (
                <ItemLine
                  key={n}
                  n={n}
                  line={line}
                  onChange={(part) => changeLine(n, part)}
                  onRemove={() => change({ lines: values.lines.filter((_, at) => at !== n) })}
                />
              ))}
              <FaultsAt pointers={['/items']} />
              <button type="button" onClick={() => change({ lines: [...values.lines, lineOf('')] })}>
                Add an item
              </button>
            </fieldset>
          )}
        </div>
        <div class="part">
          {kind === 'amount' ? (
            <>
              <Field
                name="customerName"
                pointers={['/customer_name']}
                autocomplete="name"
                {...bind('customerName')}
              >
                Customer’s name
              </Field>
              <Field
                name="totalPrice"
                pointers={['/total_price']}
                inputMode="decimal"
                {...bind('totalPrice')}
              >
                Amount
              </Field>
            </>
          ) : (
            <Field name="customerId" autocomplete="username" autocapitalize="none" {...bind('customerId')}>
              Customer
            </Field>
          )}
          {kind === 'delivered' && (
            <fieldset class="address">
              <legend>Address</legend>
              <Address values={values} onChange={change} />
            </fieldset>
          )}
          <Field
            name="time"
            type="datetime-local"
            pointers={['/scheduledAt', '/scheduled_time']}
            {...bind('time')}
          >
            Scheduled time <span class="hint">Leave empty to order for now</span>
          </Field>
          {kind !== 'amount' && (
            <div>
              <label for="card">Card</label>
              <select
                id="card"
                value={values.card}
                onChange={(event) => change({ card: event.currentTarget.value })}
              >
                {CARDS.map(([value, text]) => (
                  <option key={value} value={value}>{`${value}: ${text}`}</option>
                ))}
              </select>
              <FaultsAt pointers={['/payment/token']} />
            </div>
          )}
          {kind === 'delivered' && values.restaurantId && <QuoteBox {...values} />}
          <div role="alert">
            <ul id="faults" class="fault">
              {others.map((detail) => (
                <li key={detail}>{detail}</li>
              ))}
            </ul>
          </div>
          <button class="main" type="submit">
            Place the order
          </button>
        </div>
      </Faults.Provider>
      <datalist id="items">
        {ITEMS.map((item) => (
          <option key={item} value={item} />
        ))}
      </datalist>
    </form>
  );

  function bind(name: 'customerId' | 'customerName' | 'totalPrice' | 'restaurantId' | 'time') {
    return { value: values[name], onValue: (value: string) => change({ [name]: value }) };
  }
}

function pointersOf(kind: Kind, { lines }: Values): string[] {
  const times = ['/scheduledAt', '/scheduled_time'];
  if (kind === 'amount') return ['/customer_name', '/total_price', ...times];
  const items = lines.flatMap((_, n) => [
    ...[`/items/${n}`, `/items/${n}/itemId`, `/items/${n}/quantity`],
    ...(kind === 'items' ? [`/items/${n}/unitPrice`] : []),
  ]);
  const delivered = ['street', 'city', 'state', 'zipCode'].map((name) => `/deliveryAddress/${name}`);
  return ['/customerId', '/payment/token', '/items', ...items, ...times].concat(
    kind === 'delivered' ? ['/restaurantId', ...delivered] : [],
  );
}

function trimmed(values: Values): Values {
  return JSON.parse(JSON.stringify(values), (_, value) => (typeof value === 'string' ? value.trim() : value));
}

/** The form for a new order, with each fault of the server's answer at its field. */
import type { ComponentChildren } from 'preact';
import { createContext } from 'preact';
import { useContext, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { type Fault, faultsIn } from '../faults.ts';
import { OUT_OF_REACH, send } from '../server.ts';
import {
  type Kind,
  type Line,
  randomKey,
  requestKeys,
  sortFaults,
  toRequest,
  type Values,
} from './order-request.ts';
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
const START: Values = {
  ...{ customerId: '', customerName: '', totalPrice: '', restaurantId: 'REST-456', time: '' },
  lines: ['PIZZA-001', 'DRINK-003'].map(lineOf),
  address: { street: '', city: '', state: '', zipCode: '' },
  card: 'tok_approve',
};

function lineOf(itemId: string): Line {
  return { itemId, quantity: '1', unitPrice: '' };
}

const keys = requestKeys(randomKey);

/** The faults of each visible field by its JSON pointer. */
const Faults = createContext<ReadonlyMap<string, readonly string[]>>(new Map());

export function OrderForm({ onPlaced }: { readonly onPlaced: (id: string) => void }) {
  const form = useRef<HTMLFormElement>(null);
  const [kind, setKind] = useState<Kind>('delivered');
  const [values, setValues] = useState(START);
  const [faults, setFaults] = useState<readonly Fault[]>([]);
  const [isBusy, setBusy] = useState(false);
  const change = (part: Partial<Values>) => setValues((last) => ({ ...last, ...part }));
  const changeLine = (n: number, part: Partial<Line>) =>
    change({ lines: values.lines.map((line, at) => (at === n ? { ...line, ...part } : line)) });
  const { beside, others } = sortFaults(faults, new Set(pointersOf(kind, values)));

  useLayoutEffect(() => {
    if (faults.length > 0) form.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus();
  }, [faults]);

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
        <fieldset>
          <legend>Kind of order</legend>
          {KINDS.map(([value, text]) => (
            <label key={value} class="choice">
              <input type="radio" name="kind" checked={kind === value} onChange={() => setKind(value)} />{' '}
              {text}
            </label>
          ))}
        </fieldset>
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
            <Field name="totalPrice" pointers={['/total_price']} inputMode="decimal" {...bind('totalPrice')}>
              Amount
            </Field>
          </>
        ) : (
          <Field name="customerId" autocomplete="username" autocapitalize="none" {...bind('customerId')}>
            Customer
          </Field>
        )}
        {kind === 'delivered' && (
          <Field name="restaurantId" autocapitalize="none" {...bind('restaurantId')}>
            Restaurant
          </Field>
        )}
        {kind !== 'amount' && (
          <fieldset>
            <legend>Items</legend>
            {values.lines.map((line, n) => (
              <Item
                key={n}
                n={n}
                line={line}
                hasPrice={kind === 'items'}
                onChange={(part) => changeLine(n, part)}
                onRemove={() => change({ lines: values.lines.filter((_, at) => at !== n) })}
              />
            ))}
            <button type="button" onClick={() => change({ lines: [...values.lines, lineOf('')] })}>
              Add an item
            </button>
          </fieldset>
        )}
        {kind === 'delivered' && (
          <fieldset>
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
          <>
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
          </>
        )}
      </Faults.Provider>
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
  return ['/customerId', '/payment/token', ...items, ...times].concat(
    kind === 'delivered' ? ['/restaurantId', ...delivered] : [],
  );
}

function trimmed(values: Values): Values {
  return JSON.parse(JSON.stringify(values), (_, value) => (typeof value === 'string' ? value.trim() : value));
}

interface FieldProps {
  readonly type?: 'number' | 'datetime-local';
  readonly autocomplete?: string;
  readonly autocapitalize?: 'none';
  readonly inputMode?: 'decimal' | 'numeric';
  readonly spellcheck?: boolean;
  readonly list?: string;
  readonly min?: string;
  readonly step?: string;
  readonly name: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly pointers?: readonly string[];
  readonly children: ComponentChildren;
}

/** A labelled field with its faults below. */
export function Field({ name, value, onValue, pointers = [`/${name}`], children, ...rest }: FieldProps) {
  const faults = useContext(Faults);
  const isInvalid = pointers.some((pointer) => faults.has(pointer));
  return (
    <div class="field">
      <label for={name}>{children}</label>
      <input
        autocomplete="off"
        {...rest}
        id={name}
        value={value}
        onInput={(event) => onValue(event.currentTarget.value)}
        {...(isInvalid ? { 'aria-invalid': 'true', 'aria-describedby': `fault-of-${name}` } : {})}
      />
      <FaultsAt pointers={pointers} id={`fault-of-${name}`} />
    </div>
  );
}

function FaultsAt({ pointers, id }: { readonly pointers: readonly string[]; readonly id?: string }) {
  const faults = useContext(Faults);
  const found = pointers.flatMap((pointer) => faults.get(pointer) ?? []);
  return found.length > 0 ? (
    <p class="fault" id={id}>
      {found.join('; ')}
    </p>
  ) : null;
}

interface ItemProps {
  readonly n: number;
  readonly line: Line;
  readonly hasPrice: boolean;
  readonly onChange: (part: Partial<Line>) => void;
  readonly onRemove: () => void;
}

function Item({ n, line, hasPrice, onChange, onRemove }: ItemProps) {
  const field = (name: keyof Line) => ({
    name: `items-${n}-${name}`,
    value: line[name],
    onValue: (value: string) => onChange({ [name]: value }),
    pointers: [`/items/${n}/${name}`, ...(name === 'itemId' ? [`/items/${n}`] : [])],
  });
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset in a fieldset would draw a second frame
    <div class="line" role="group" aria-label={`Item ${n + 1}`}>
      <Field {...field('itemId')} list="items" autocapitalize="none" spellcheck={false}>
        Item
      </Field>
      <Field {...field('quantity')} type="number" min="1" step="1" inputMode="numeric">
        Quantity
      </Field>
      {hasPrice && (
        <Field {...field('unitPrice')} inputMode="decimal">
          Price, if not in the catalogue
        </Field>
      )}
      <button type="button" aria-label={`Remove item ${n + 1}`} onClick={onRemove}>
        Remove
      </button>
    </div>
  );
}

const ADDRESS = [
  ['street', 'Street', 'address-line1'],
  ['city', 'City', 'address-level2'],
  ['state', 'State', 'address-level1'],
  ['zipCode', 'Zip code', 'postal-code'],
] as const;

function Address({ values, onChange }: { values: Values; onChange: (part: Partial<Values>) => void }) {
  return (
    <>
      {ADDRESS.map(([name, text, autocomplete]) => (
        <Field
          key={name}
          name={name}
          autocomplete={autocomplete}
          pointers={[`/deliveryAddress/${name}`]}
          value={values.address[name]}
          onValue={(value) => onChange({ address: { ...values.address, [name]: value } })}
        >
          {text}
        </Field>
      ))}
    </>
  );
}

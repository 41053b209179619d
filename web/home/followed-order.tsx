/** Shows one order live with all that its owner may know: facts, timeline, history on request; and cancels it. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { components } from '../api.d.ts';
import { FaultText, Time, useNow } from '../elements.tsx';
import { sentenceOf } from '../faults.ts';
import { useFollowed } from '../follow.ts';
import { api, outcomeOf } from '../server.ts';
import { etaText } from '../times.ts';
import { headline, isFinal, moneyText, paymentText, stepText, stockText } from '../words.ts';
import { linkTo } from './tracking-link.ts';

type View = components['schemas']['OrderView'];
const ETA_EVERY_MS = 10_000;
const CONNECTIONS = {
  opening: 'Connecting …',
  live: 'Updated live.',
  lost: 'The connection is lost; connecting again …',
  ended: '',
} as const;

interface Props {
  readonly id: string;
  readonly attempt: number;
  readonly onFound: () => void;
}

export function FollowedOrder({ id, attempt, onFound }: Props) {
  const { view, connection, faults } = useFollowed<View>(`/ui/orders/${encodeURIComponent(id)}`, attempt);
  const title = useRef<HTMLHeadingElement>(null);
  const isFound = view !== undefined;
  useLayoutEffect(() => title.current?.focus(), []);
  useEffect(() => void (isFound && onFound()), [isFound]);
  return (
    <article id="tracking" aria-labelledby="tracking-title" data-state={view && stateOf(view)}>
      <h2 id="tracking-title" tabIndex={-1} ref={title}>
        Order <span id="tracking-id">{id}</span>
      </h2>
      <FaultText id="tracking-fault" text={sentenceOf(faults)} />
      <p id="status" class="headline" role="status">
        {view && headline(view)}
      </p>
      <p class="hint" role="status">
        {faults.length === 0 && CONNECTIONS[connection]}
      </p>
      {view && <Shown view={view} onCancelled={() => title.current?.focus()} />}
      <p>
        <a href="/#">Place or track another order</a>
      </p>
    </article>
  );
}

function stateOf(view: View): 'open' | 'good' | 'bad' {
  if (!isFinal(view)) return 'open';
  return view.status === 'FAILED' || view.status === 'CANCELLED' ? 'bad' : 'good';
}

function Shown({ view, onCancelled }: { readonly view: View; readonly onCancelled: () => void }) {
  return (
    <>
      {view.eta && !isFinal(view) && <Eta {...view.eta} />}
      <Facts view={view} />
      <h3>Timeline</h3>
      <ol class="timeline">
        {view.timeline.map(({ status, at }, n) => (
          <li key={`${n} ${status}`}>
            <span>{stepText(status)}</span>
            <Time at={at} />
          </li>
        ))}
      </ol>
      <Links id={view.orderId} />
      <Cancel id={view.orderId} isHidden={isFinal(view)} onCancelled={onCancelled} />
      <History id={view.orderId} version={view.version} />
    </>
  );
}

function Eta({ median, p90 }: NonNullable<View['eta']>) {
  const now = useNow(ETA_EVERY_MS);
  return (
    <p>
      Arrives <strong>{etaText(median, p90, now)}</strong>, between <Time at={median} style="short" /> and{' '}
      <Time at={p90} style="short" />
    </p>
  );
}

function Facts({ view }: { readonly view: View }) {
  const items = view.items.map(({ quantity, name, itemId }) => `${quantity} × ${name ?? itemId}`);
  return (
    <dl>
      <dt>Stock</dt>
      <dd>{stockText(view.inventory)}</dd>
      <dt>Payment</dt>
      <dd>{paymentText(view.payment)}</dd>
      <dt>Rider</dt>
      <dd>{view.rider?.riderId ?? 'None yet'}</dd>
      <dt>Items</dt>
      <dd>{items.join(', ') || 'None'}</dd>
      <dt>Total</dt>
      <dd>{moneyText(view.totalAmount, view.currency)}</dd>
      {view.scheduledAt && (
        <>
          <dt>Scheduled for</dt>
          <dd>
            <Time at={view.scheduledAt} />
          </dd>
        </>
      )}
      <dt>Last change</dt>
      <dd>
        <Time at={view.updatedAt} />
      </dd>
    </dl>
  );
}

/** Goes to the page that shows the order without a login. */
function Links({ id }: { readonly id: string }) {
  const [fault, setFault] = useState('');
  async function open(): Promise<void> {
    const link = await linkTo(id, 'change');
    if (link) location.assign(link);
    else setFault('No link could be made.');
  }
  return (
    <p>
      <button type="button" onClick={open}>
        Open the tracking page
      </button>
      <FaultText text={fault} />
    </p>
  );
}

interface CancelProps {
  readonly id: string;
  readonly isHidden: boolean;
  readonly onCancelled: () => void;
}

function Cancel({ id, isHidden, onCancelled }: CancelProps) {
  const [fault, setFault] = useState('');
  const button = useRef<HTMLButtonElement>(null);
  const hadFocus = useRef(false);
  hadFocus.current = document.activeElement === button.current && button.current !== null;
  useLayoutEffect(() => void (isHidden && hadFocus.current && onCancelled()), [isHidden]);
  async function cancel(): Promise<void> {
    const params = { path: { id } };
    setFault(sentenceOf((await outcomeOf(api.POST('/v1/orders/{id}/cancel', { params, body: {} }))).faults));
  }
  return (
    <>
      {!isHidden && (
        <button type="button" class="bad" ref={button} onClick={cancel}>
          Cancel the order
        </button>
      )}
      <FaultText text={fault} />
    </>
  );
}

function History({ id, version }: { readonly id: string; readonly version: number }) {
  const [isOpen, setOpen] = useState(false);
  const [entries, setEntries] = useState<NonNullable<View['history']>>([]);
  const [fault, setFault] = useState('');
  useEffect(() => {
    if (!isOpen) return;
    let isOver = false;
    void outcomeOf(api.GET('/ui/orders/{id}/history', { params: { path: { id } } })).then(
      ({ data, faults }) => {
        if (isOver) return;
        setFault(sentenceOf(faults));
        setEntries(data?.history ?? []);
      },
    );
    return () => {
      isOver = true;
    };
  }, [isOpen, id, version]);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>History</summary>
      <FaultText text={fault} />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be reached by keyboard */}
      <section class="wide" tabIndex={0} aria-label="History of the order">
        <table>
          <thead>
            <tr>
              {['Time', 'Event', 'From', 'Content'].map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody id="entries">
            {entries.map(({ eventId, at, eventType, producer, payload }) => (
              <tr key={eventId}>
                <td>
                  <Time at={at} />
                </td>
                <td>{eventType}</td>
                <td>{producer}</td>
                <td>{JSON.stringify(payload)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}

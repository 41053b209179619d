/** The pages `/rider`, where a rider says who it is, and `/rider/{id}`, the orders that it has, live. */
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import '../style.css';
import { Access } from '../access.tsx';
import { Connected, FaultText, useNow } from '../elements.tsx';
import { sentenceOf } from '../faults.ts';
import { useFollowed } from '../follow.ts';
import { allowed, api, outcomeOf } from '../server.ts';
import { type Board, goalOf, type Rider, riderIdFrom } from './carried.ts';
import { OrderCard } from './order-card.tsx';
import { type Source, usePosition } from './position.ts';

const id = decodeURIComponent(location.pathname.split('/')[2] ?? '');
const LAST_NAME = 'tiffin.rider';
const SOURCES: readonly (readonly [Source, string])[] = [
  ['none', 'Not shown'],
  ['device', 'From this device'],
  ['simulated', 'Simulated ride'],
];

function RiderPage() {
  const [attempt, setAttempt] = useState(0);
  const path = `/v1/riders/${encodeURIComponent(id)}`;
  const { view, connection, faults } = useFollowed<Board & { readonly status?: string }>(path, attempt);
  const [source, setSource] = useState<Source>('none');
  const now = useNow(5_000);
  const first = view?.orders.find(({ status }) => status === 'PICKED_UP') ?? view?.orders[0];
  const fault = usePosition(id, source, view?.rider?.location, first && goalOf(first));
  const code = faults[0]?.code;
  const count = view?.orders.length ?? 0;
  useEffect(() => {
    document.title = `${count > 0 ? `(${count}) ` : ''}${view?.rider?.name ?? 'Rider'} · Tiffin`;
  }, [count, view?.rider?.name]);
  return (
    <>
      <header class="bar">
        <a class="brand" href="/rider">
          Tiffin rider
        </a>
      </header>
      <main>
        <Connected connection={connection} isShown={view !== undefined} />
        <p class="unseen" role="status">
          {view && `You have ${count === 1 ? 'one order' : `${count} orders`}.`}
        </p>
        <Access onToken={() => setAttempt(attempt + 1)} />
        {faults.length > 0 && code !== 'UNAUTHENTICATED' && (
          <section class="card" role="alert">
            <h1>This rider cannot be shown</h1>
            <p>{sentenceOf(faults)}</p>
            <a class="button main" href="/rider">
              Say who rides
            </a>
          </section>
        )}
        {!view && faults.length === 0 && <p class="hint">Loading your orders …</p>}
        {view && <h1>{view.rider?.name ?? id}</h1>}
        {view?.rider && <Duty rider={view.rider} />}
        {view?.rider && (
          <fieldset class="card">
            <legend>Where you are</legend>
            <div class="choices-row">
              {SOURCES.map(([value, text]) => (
                <label key={value} class="choice">
                  <input
                    type="radio"
                    name="position"
                    checked={source === value}
                    onChange={() => setSource(value)}
                  />
                  {text}
                </label>
              ))}
            </div>
            <FaultText text={fault} />
          </fieldset>
        )}
        {view && count === 0 && (
          <section class="card empty">
            <h2>No orders right now</h2>
            <p>
              {view.rider?.onDuty
                ? 'You are given the next order near you; it appears here by itself.'
                : 'Go on duty to be given orders.'}
            </p>
          </section>
        )}
        <ul class="plain tickets">
          {view?.orders.map((order) => (
            <li key={order.orderId}>
              <OrderCard riderId={id} order={order} place={view.rider?.location} now={now} />
            </li>
          ))}
        </ul>
      </main>
    </>
  );
}

function Duty({ rider: { riderId, name, onDuty, capacity } }: { readonly rider: Rider }) {
  const [fault, setFault] = useState('');
  async function turn(): Promise<void> {
    const params = { path: { rid: riderId } };
    const body = { name, capacity, onDuty: !onDuty };
    setFault(sentenceOf((await outcomeOf(api.PUT('/v1/riders/{rid}', { params, body }))).faults));
  }
  return (
    <section class="card" aria-label="Duty">
      <div class="row duty">
        <p>
          <strong>{onDuty ? 'On duty' : 'Off duty'}</strong>{' '}
          <span class="hint">{onDuty ? 'You take the orders you are given.' : 'You get no new orders.'}</span>
        </p>
        <button type="button" class={onDuty ? '' : 'main'} onClick={turn}>
          {onDuty ? 'Go off duty' : 'Go on duty'}
        </button>
      </div>
      <FaultText text={fault} />
    </section>
  );
}

function Begin() {
  const [name, setName] = useState(() => allowed(() => localStorage.getItem(LAST_NAME)) ?? '');
  const [fault, setFault] = useState('');
  async function begin(): Promise<void> {
    const rid = riderIdFrom(name);
    if (!rid) return setFault('Please use some Latin letters or digits.');
    const params = { path: { rid } };
    const { faults } = await outcomeOf(api.PUT('/v1/riders/{rid}', { params, body: { name: name.trim() } }));
    if (faults.length > 0) return setFault(sentenceOf(faults));
    allowed(() => localStorage.setItem(LAST_NAME, name.trim()));
    location.assign(`/rider/${encodeURIComponent(rid)}`);
  }
  return (
    <>
      <header class="bar">
        <a class="brand" href="/">
          Tiffin
        </a>
      </header>
      <main>
        <Access onToken={() => void begin()} />
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void begin();
          }}
        >
          <h1>Who rides?</h1>
          <div>
            <label for="name">Your name</label>
            <input
              id="name"
              autocomplete="given-name"
              required
              maxLength={64}
              value={name}
              aria-describedby="name-hint"
              onInput={(event) => setName(event.currentTarget.value)}
            />
            <p class="hint" id="name-hint">
              The same name is the same rider.
            </p>
          </div>
          <FaultText text={fault} />
          <button type="submit" class="main large">
            Go on duty
          </button>
        </form>
      </main>
    </>
  );
}

render(id ? <RiderPage /> : <Begin />, document.getElementById('page')!);

/** The pages `/kitchen`, a list of kitchens, and `/kitchen/{restaurant}`, the open tickets of one, live. */
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import '../style.css';
import { Access } from '../access.tsx';
import type { components } from '../api.d.ts';
import { Connected, FaultText, useNow } from '../elements.tsx';
import { sentenceOf } from '../faults.ts';
import { useFollowed } from '../follow.ts';
import { api, outcomeOf } from '../server.ts';
import { playNewTicket, useSound } from './sound.ts';
import { TicketCard } from './ticket-card.tsx';
import { arrivedSince, type Board, contentText, lanesOf, type Ticket, usualMinutes } from './tickets.ts';

const restaurantId = decodeURIComponent(location.pathname.split('/')[2] ?? '');

function Kitchen() {
  const [attempt, setAttempt] = useState(0);
  const path = `/v1/restaurants/${encodeURIComponent(restaurantId)}`;
  const { view, connection, faults } = useFollowed<Board & { readonly status?: string }>(path, attempt);
  const [isLoud, setLoud] = useSound();
  const news = useNews(view?.orders, isLoud);
  const code = faults[0]?.code;
  const waiting = view ? lanesOf(view.orders).fresh.length : 0;
  useEffect(() => {
    document.title = `${waiting > 0 ? `(${waiting}) ` : ''}${view?.name ?? 'Kitchen'} · Tiffin`;
  }, [waiting, view?.name]);
  return (
    <>
      <header class="bar">
        <a class="brand" href="/kitchen">
          Tiffin kitchen
        </a>
        <button type="button" class="sound" aria-pressed={isLoud} onClick={() => setLoud(!isLoud)}>
          Sound {isLoud ? 'on' : 'off'}
        </button>
      </header>
      <main class="board">
        <Connected connection={connection} isShown={view !== undefined} />
        <p class="unseen" role="status">
          {news}
        </p>
        <Access onToken={() => setAttempt(attempt + 1)} />
        {faults.length > 0 && code !== 'UNAUTHENTICATED' && (
          <section class="card" role="alert">
            <h1>This kitchen cannot be shown</h1>
            <p>{sentenceOf(faults)}</p>
            <a class="button main" href="/kitchen">
              All kitchens
            </a>
          </section>
        )}
        {!view && faults.length === 0 && <p class="hint">Loading the tickets …</p>}
        {view && <Tickets board={view} />}
      </main>
    </>
  );
}

/** What has just come in, as a sentence for who cannot see it; plays the sound. */
function useNews(orders: readonly Ticket[] | undefined, isLoud: boolean): string {
  const before = useRef<readonly Ticket[] | undefined>(undefined);
  const [news, setNews] = useState('');
  useEffect(() => {
    const arrived = orders ? arrivedSince(before.current, orders) : [];
    before.current = orders ?? before.current;
    if (arrived.length === 0) return;
    setNews(`New order: ${arrived.map(contentText).join('; ')}`);
    if (isLoud) playNewTicket();
  }, [orders]);
  return news;
}

const LANES = [
  ['fresh', 'New', 'Nothing new.'],
  ['cooking', 'Cooking', 'Nothing on the stove.'],
  ['ready', 'Ready', 'Nothing waits to be taken.'],
] as const;

function Tickets({ board }: { readonly board: Board }) {
  const now = useNow(5_000);
  const lanes = lanesOf(board.orders);
  return (
    <>
      <h1>{board.name}</h1>
      {board.orders.length === 0 && (
        <section class="card empty">
          <h2>No orders right now</h2>
          <p>New orders appear here by themselves, with a sound. Leave this page open.</p>
          <p class="hint">
            To try it, <a href={`/#restaurant=${encodeURIComponent(board.restaurantId)}`}>place an order</a>{' '}
            in another tab.
          </p>
        </section>
      )}
      {board.orders.length > 0 && (
        <div class="lanes">
          {LANES.map(([lane, title, none]) => (
            <section key={lane} aria-labelledby={`lane-${lane}`} data-lane={lane}>
              <h2 id={`lane-${lane}`}>
                {title} <span class="number">{lanes[lane].length}</span>
              </h2>
              {lanes[lane].length === 0 && <p class="hint">{none}</p>}
              <ul class="plain tickets">
                {lanes[lane].map((ticket) => (
                  <li key={ticket.orderId}>
                    <TicketCard
                      restaurantId={board.restaurantId}
                      ticket={ticket}
                      minutes={usualMinutes(board)}
                      now={now}
                    />
                  </li>
                ))}
              </ul>
            </section>
          ))}
        </div>
      )}
      {board.hasMore && <p class="notice">There are more tickets; they appear as these are done.</p>}
    </>
  );
}

const MOST_RESTAURANTS = 100;

function Kitchens() {
  const [restaurants, setRestaurants] = useState<readonly components['schemas']['OpenRestaurant'][]>();
  const [fault, setFault] = useState('');
  useEffect(() => {
    const query = { limit: MOST_RESTAURANTS };
    void outcomeOf(api.GET('/v1/restaurants', { params: { query } })).then(({ data, faults }) => {
      setFault(sentenceOf(faults));
      setRestaurants(data?.restaurants);
    });
  }, []);
  return (
    <>
      <header class="bar">
        <a class="brand" href="/">
          Tiffin
        </a>
      </header>
      <main>
        <h1>Kitchens</h1>
        <FaultText text={fault} />
        {restaurants?.length === 0 && (
          <p class="hint">
            There is no restaurant yet: add one with POST /api/v1/inventory/add/restaurant (
            <a href="/docs">the API</a>).
          </p>
        )}
        <ul class="plain choices">
          {restaurants?.map(({ restaurantId: id, name }) => (
            <li key={id}>
              <a class="button" href={`/kitchen/${encodeURIComponent(id)}`}>
                {name}
              </a>
            </li>
          ))}
        </ul>
      </main>
    </>
  );
}

render(restaurantId ? <Kitchen /> : <Kitchens />, document.getElementById('page')!);

/** The page `/`: a form for a new order, the recent orders of this browser, and the order named in the URL. */
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import '../style.css';
import { Access } from '../access.tsx';
import { Time } from '../elements.tsx';
import { allowed } from '../server.ts';
import { FollowedOrder } from './followed-order.tsx';
import { OrderForm } from './order-form.tsx';
import { hashOf, orderOf, type RecentOrder, readRecent, remember } from './recent-orders.ts';

const RECENT = 'tiffin.recent';

function Home() {
  const [id, setId] = useState(() => orderOf(location.hash));
  const [recent, setRecent] = useState(() => readRecent(allowed(() => localStorage.getItem(RECENT))));
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    const show = () => setId(orderOf(location.hash));
    addEventListener('hashchange', show);
    return () => removeEventListener('hashchange', show);
  }, []);
  useEffect(() => {
    document.title = id === undefined ? 'Tiffin' : `Order ${id} · Tiffin`;
  }, [id]);

  function store(entries: readonly RecentOrder[]): void {
    setRecent(entries);
    allowed(() => localStorage.setItem(RECENT, JSON.stringify(entries)));
  }
  const keep = (id: string) =>
    store(remember(recent, { id, at: recent.find((entry) => entry.id === id)?.at ?? Date.now() }));

  return (
    <>
      <header class="bar">
        <h1 class="brand">
          <a href="/#">Tiffin</a>
        </h1>
        <nav class="links" aria-label="Other pages">
          <a href="/kitchen">Kitchens</a>
          <a href="/rider">Riders</a>
          <a href="/docs">API</a>
        </nav>
      </header>
      <main>
        <Access onToken={() => setAttempt(attempt + 1)} />
        {id === undefined ? (
          <>
            <OrderForm onPlaced={keep} />
            {recent.length > 0 && <Recent orders={recent} onClear={() => store([])} />}
            <Find />
          </>
        ) : (
          <FollowedOrder key={id} id={id} attempt={attempt} onFound={() => keep(id)} />
        )}
      </main>
    </>
  );
}

function Find() {
  const [id, setId] = useState('');
  return (
    <form
      id="find"
      onSubmit={(event) => {
        event.preventDefault();
        location.hash = hashOf(id.trim());
      }}
    >
      <h2>Track an order</h2>
      <div>
        <label for="find-id">Order id</label>
        <div class="row">
          <input
            id="find-id"
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            required
            value={id}
            onInput={(event) => setId(event.currentTarget.value)}
          />
          <button type="submit">Track</button>
        </div>
      </div>
    </form>
  );
}

function Recent({
  orders,
  onClear,
}: {
  readonly orders: readonly RecentOrder[];
  readonly onClear: () => void;
}) {
  return (
    <section aria-labelledby="recent-title">
      <h2 id="recent-title">Recent orders</h2>
      <ul id="recent-orders" class="plain">
        {orders.map(({ id, at }) => (
          <li key={id}>
            <a href={hashOf(id)}>{id}</a> <Time at={new Date(at).toISOString()} />
          </li>
        ))}
      </ul>
      <button
        type="button"
        onClick={() => {
          onClear();
          document.getElementById('find-id')?.focus();
        }}
      >
        Clear recent orders
      </button>
    </section>
  );
}

render(<Home />, document.getElementById('page')!);

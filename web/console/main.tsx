/** `/console`: what operators look at and handle. Every view has an address that holds its filters. */
import { render } from 'preact';
import { useState } from 'preact/hooks';
import { LocationProvider, Route, Router, useLocation } from 'preact-iso';
import './console.css';
import { Access } from '../access.tsx';
import { hasToken, setToken } from '../server.ts';
import { Groups } from './groups.tsx';
import { Home } from './home.tsx';
import { Letter } from './letter.tsx';
import { Letters } from './letters.tsx';

const environment = document.querySelector<HTMLMetaElement>('meta[name="environment"]')?.content ?? '';
const VIEWS = [
  ['/console', 'Home'],
  ['/console/letters', 'Dead letters'],
] as const;

function Console() {
  const { path } = useLocation();
  const [attempt, setAttempt] = useState(0);
  const isIn = (view: string) => (view === '/console' ? path === view : path.startsWith(view));
  return (
    <>
      <header class="bar">
        <span class="brand">Tiffin console</span>
        {environment && (
          <strong class="badge" title="Environment">
            {environment}
          </strong>
        )}
        <nav aria-label="Views">
          {VIEWS.map(([view, text]) => (
            <a key={view} href={view} aria-current={isIn(view) ? 'page' : undefined}>
              {text}
            </a>
          ))}
        </nav>
        {hasToken() && (
          <button
            type="button"
            onClick={() => {
              setToken('');
              setAttempt(attempt + 1);
            }}
          >
            Sign out
          </button>
        )}
      </header>
      <main>
        <Access onToken={() => setAttempt(attempt + 1)} />
        <Router key={attempt}>
          <Route path="/console" component={Home} />
          <Route path="/console/letters" component={LettersView} />
          <Route path="/console/letters/:id" component={Letter} />
          <Route default component={Nowhere} />
        </Router>
      </main>
    </>
  );
}

function LettersView() {
  const { consumer, error, cursor } = useLocation().query;
  return consumer && error ? <Letters {...{ consumer, error, cursor }} /> : <Groups consumer={consumer} />;
}

function Nowhere() {
  return (
    <section>
      <h1>There is no such view</h1>
      <p>
        <a href="/console">The console’s home</a> names those that there are.
      </p>
    </section>
  );
}

render(
  <LocationProvider scope="/console">
    <Console />
  </LocationProvider>,
  document.getElementById('page')!,
);

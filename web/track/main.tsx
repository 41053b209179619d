/** The page `/track/{token}`: one order, live, for whoever has its link. */
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import '../style.css';
import type { components } from '../api.d.ts';
import { Connected, Time, useNow } from '../elements.tsx';
import { useFollowed } from '../follow.ts';
import { api, outcomeOf } from '../server.ts';
import { etaText, timeText } from '../times.ts';
import { isFinal, moneyText as priceText, shortId } from '../words.ts';
import { Changes, Send } from './changes.tsx';
import { RouteMap } from './map.tsx';
import {
  countdownText,
  headlineOf,
  isWaiting,
  moneyText,
  moodOf,
  type RiderPlace,
  reasonOf,
  stepsOf,
  type Tracked,
  whyOf,
  windowText,
} from './tracked-order.ts';

type Link = components['schemas']['FollowedOrder']['link'];

const token = decodeURIComponent(location.pathname.split('/')[2] ?? '');

function Page() {
  const { view, connection, faults, beside } = useFollowed<Tracked>(
    `/v1/tracking/${encodeURIComponent(token)}`,
  );
  return (
    <>
      <header class="bar">
        <span class="brand">Tiffin</span>
        {view && <span class="hint">Order {shortId(view.orderId)}</span>}
      </header>
      <main class="track">
        <Connected connection={connection} isShown={view !== undefined} />
        {faults[0] && <Refused code={faults[0].code ?? ''} />}
        {!view && !faults[0] && <p class="hint">Loading your order …</p>}
        {view && <Order order={view} moved={beside.rider as RiderPlace | undefined} />}
      </main>
    </>
  );
}

const REFUSALS: Readonly<Record<string, readonly [string, string]>> = {
  LINK_EXPIRED: ['This link has expired', 'Ask whoever sent it to you for a new one.'],
  UNKNOWN_LINK: ['There is no such link', 'It may have been copied in part: open it again from the message.'],
};

function Refused({ code }: { readonly code: string }) {
  const [title, advice] = REFUSALS[code] ?? ['This order cannot be shown', 'It may no longer be stored.'];
  return (
    <section class="card" role="alert">
      <h1>{title}</h1>
      <p>{advice}</p>
    </section>
  );
}

function Order({ order, moved }: { readonly order: Tracked; readonly moved: RiderPlace | undefined }) {
  const link = useLink();
  const waits = order.status === 'CREATED';
  const now = useNow(waits ? 1_000 : 10_000);
  const amount = (value: number) => priceText(value, order.currency);
  const isOver = isFinal(order);
  const { restaurant, destination, rider } = order.delivery ?? {};
  const latest = rider && moved && Date.parse(moved.at) > Date.parse(rider.at) ? moved : rider;
  const mood = moodOf(order);
  useEffect(() => {
    document.title = `${headlineOf(order, Date.now())} · Tiffin`;
  }, [order]);
  return (
    <article data-state={mood}>
      <section class="card hero" aria-label="Status">
        <div role="status">
          <h1>{headlineOf(order, now)}</h1>
          {mood === 'good' && (
            <p>
              at <Time at={order.updatedAt} style="short" />
            </p>
          )}
          {mood === 'bad' && reasonOf(order) && <p>{reasonOf(order)}</p>}
        </div>
        {order.arrival && !isOver && (
          <>
            <p class="big">{windowText(order.arrival, now)}</p>
            <p>Arrives {etaText(order.arrival.from, order.arrival.to, now)}</p>
            <p class="hint" role="status">
              {whyOf(order.arrival, now)}
            </p>
          </>
        )}
        {isWaiting(order, now) && (
          <>
            <p class="big" role="timer" aria-label="Time until the kitchen begins">
              {countdownText(Date.parse(order.dueAt), now)}
            </p>
            <p class="hint">
              until the kitchen begins, at <Time at={order.dueAt} style="short" />
            </p>
          </>
        )}
        <Bar order={order} />
      </section>
      {!isOver && latest && (
        <RouteMap
          restaurant={restaurant}
          destination={destination}
          rider={latest}
          isPickedUp={order.status === 'OUT_FOR_DELIVERY'}
        />
      )}
      <div class="columns">
        <section class="card" aria-labelledby="steps-title">
          <h2 id="steps-title">Progress</h2>
          <Steps order={order} now={now} />
        </section>
        <section class="card" aria-labelledby="order-title">
          <h2 id="order-title">Your order</h2>
          <ul class="items">
            {order.items.map(({ itemId, name, quantity }) => (
              <li key={itemId}>
                <span class="count">{quantity} ×</span> {name ?? itemId}
              </li>
            ))}
          </ul>
          <p class="total">
            <span>Total</span> <strong>{amount(order.totalAmount)}</strong>
          </p>
          <p class="hint">{moneyText(order, amount)}</p>
          <Changes {...{ token, order, isOver, amount }} mayChange={link?.may === 'change'} />
        </section>
      </div>
      {link?.readToken && <Send path={`/track/${link.readToken}`} />}
    </article>
  );
}

/** What the link allows; it stays the same. */
function useLink(): Link | undefined {
  const [link, setLink] = useState<Link>();
  useEffect(() => {
    void outcomeOf(api.GET('/v1/tracking/{token}', { params: { path: { token } } })).then(
      ({ data }) => data && setLink(data.link),
    );
  }, []);
  return link;
}

/** How far the order is, at a glance; the list below has it in words. */
function Bar({ order }: { readonly order: Tracked }) {
  return (
    <div class="progress" aria-hidden="true">
      {stepsOf(order).map(({ status, state }) => (
        <span key={status} class={state} />
      ))}
    </div>
  );
}

function Steps({ order, now }: { readonly order: Tracked; readonly now: number }) {
  return (
    <ol class="steps">
      {stepsOf(order).map(({ status, text, state, at }) => (
        <li key={status} class={state} {...(state === 'current' ? { 'aria-current': 'step' } : {})}>
          <span>{text}</span>
          {at && <time dateTime={at}>{timeText(at, now, 'short')}</time>}
        </li>
      ))}
    </ol>
  );
}

render(<Page />, document.getElementById('page')!);

/** What an order at a restaurant will be charged and when it can arrive, asked for anew whenever the basket changes. */
import { useEffect, useState } from 'preact/hooks';
import type { components } from '../api.d.ts';
import { FaultText, useNow } from '../elements.tsx';
import { sentenceOf } from '../faults.ts';
import { api, type Outcome, outcomeOf } from '../server.ts';
import { timeText, toRfc3339 } from '../times.ts';
import { moneyText } from '../words.ts';
import type { Values } from './order-request.ts';

type Quote = components['schemas']['Quote'];

/** From the last change of the basket to the request. */
const SETTLED_MS = 250;

export function QuoteBox({ restaurantId, lines, time }: Pick<Values, 'restaurantId' | 'lines' | 'time'>) {
  const [{ data: quote, faults }, setOutcome] = useState<Outcome<Quote>>({ faults: [] });
  const [isAsking, setAsking] = useState(false);
  const items = lines.map(({ itemId, quantity }) => ({ itemId, quantity: Number(quantity) }));
  const scheduledAt = toRfc3339(time);
  const body = { restaurantId, items, ...(scheduledAt ? { scheduledAt } : {}) };
  const isEmpty = items.length === 0;

  useEffect(() => {
    if (isEmpty) return setOutcome({ faults: [] });
    let isOver = false;
    setAsking(true);
    const timer = setTimeout(async () => {
      const outcome = await outcomeOf<Quote>(api.POST('/v1/quotes', { body }));
      if (isOver) return;
      setOutcome(outcome);
      setAsking(false);
    }, SETTLED_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [JSON.stringify(body)]);

  return (
    <section class="quote" aria-label="What you pay" aria-busy={isAsking} role="status">
      {isEmpty && <p class="hint">Choose a dish to see what it costs, with fees.</p>}
      {quote && <Amounts quote={quote} />}
      <FaultText text={sentenceOf([...faults, ...(quote?.problems ?? [])])} />
    </section>
  );
}

function Amounts({ quote: { base, discount, fees, totalAmount, currency, arrival } }: { quote: Quote }) {
  const now = useNow(60_000);
  const rows = [
    ['Items', base],
    ['Discount', -discount],
    ['Fees', fees],
  ] as const;
  return (
    <>
      {rows.map(([name, amount]) =>
        amount === 0 ? null : (
          <p key={name} class="amount">
            <span>{name}</span> <span>{moneyText(amount, currency)}</span>
          </p>
        ),
      )}
      <p class="total">
        <span>Total</span> <strong>{moneyText(totalAmount, currency)}</strong>
      </p>
      <p class="hint">
        Arrives between {timeText(arrival.from, now, 'short')} and {timeText(arrival.to, now, 'short')} at the
        earliest
      </p>
    </>
  );
}

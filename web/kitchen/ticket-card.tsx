/** One ticket with what the kitchen may do now. */
import { useState } from 'preact/hooks';
import { Asked } from '../asked.tsx';
import { FaultText, Time } from '../elements.tsx';
import { sentenceOf } from '../faults.ts';
import { api, outcomeOf } from '../server.ts';
import { toRfc3339 } from '../times.ts';
import { shortId } from '../words.ts';
import { leftText, sinceText, type Ticket, takerText } from './tickets.ts';

const STEP_MINUTES = 5;
const MOST_MINUTES = 120;
const REASONS = [
  ['SOLD_OUT', 'Something is sold out'],
  ['TOO_BUSY', 'Too busy'],
  ['CLOSING', 'Closing'],
] as const;

type Answer =
  | { readonly action: 'ACCEPT'; readonly estimatedReadyTime: string }
  | { readonly action: 'REJECT'; readonly reason: string }
  | { readonly action: 'READY' | 'COLLECTED' };

interface CardProps {
  readonly restaurantId: string;
  readonly ticket: Ticket;
  readonly minutes: number;
  readonly now: number;
}

export function TicketCard({ restaurantId, ticket, minutes, now }: CardProps) {
  const { orderId, openedAt, items, specialInstructions, estimatedReadyTime } = ticket;
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  const params = { path: { rid: restaurantId, oid: orderId } };

  /** The stream shows what has changed; until then the buttons rest. Resolves with what is wrong. */
  async function answer(body: Answer): Promise<string> {
    const { faults } = await outcomeOf(api.POST('/v1/restaurants/{rid}/orders/{oid}', { params, body }));
    return sentenceOf(faults);
  }
  async function press(body: Answer): Promise<void> {
    if (isBusy) return;
    setBusy(true);
    const said = await answer(body);
    setFault(said);
    setBusy(false);
  }

  const left = estimatedReadyTime && !ticket.readyAt ? leftText(estimatedReadyTime, now) : undefined;
  return (
    <article class="card ticket" aria-labelledby={`order-${orderId}`} aria-busy={isBusy}>
      <header class="row">
        <h3 id={`order-${orderId}`}>Order {shortId(orderId)}</h3>
        {left ? (
          <strong class={left.isLate ? 'late' : 'count'}>{left.text}</strong>
        ) : (
          <span class="hint">{sinceText(ticket.readyAt ?? openedAt, now)}</span>
        )}
      </header>
      <ul class="items large">
        {items.map(({ itemId, name, quantity }) => (
          <li key={itemId}>
            <strong>{quantity} ×</strong> {name ?? itemId}
          </li>
        ))}
      </ul>
      {specialInstructions && <p class="notice">{specialInstructions}</p>}
      {ticket.status === 'OPEN' && (
        <Answering
          minutes={minutes}
          onAccept={(estimatedReadyTime) => press({ action: 'ACCEPT', estimatedReadyTime })}
          reject={(reason) => answer({ action: 'REJECT', reason })}
        />
      )}
      {ticket.status === 'ACCEPTED' && !ticket.readyAt && (
        <>
          {estimatedReadyTime && (
            <p class="hint">
              Ready by <Time at={estimatedReadyTime} style="short" />
            </p>
          )}
          <button type="button" class="main large" onClick={() => press({ action: 'READY' })}>
            Ready
          </button>
        </>
      )}
      {ticket.readyAt && <p class="hint">{takerText(ticket)}</p>}
      {ticket.readyAt && ticket.leavesBy === 'CUSTOMER' && (
        <button type="button" class="main large" onClick={() => press({ action: 'COLLECTED' })}>
          Collected
        </button>
      )}
      <FaultText text={fault} />
    </article>
  );
}

interface AnsweringProps {
  readonly minutes: number;
  readonly onAccept: (estimatedReadyTime: string) => void;
  readonly reject: (reason: string) => Promise<string>;
}

function Answering({ minutes: usual, onAccept, reject }: AnsweringProps) {
  const [minutes, setMinutes] = useState(usual);
  const [reason, setReason] = useState<string>(REASONS[0][0]);
  return (
    <>
      <div class="row ready-in">
        <span>Ready in</span>
        <span class="stepper">
          <button
            type="button"
            aria-label={`${STEP_MINUTES} minutes less`}
            disabled={minutes <= STEP_MINUTES}
            onClick={() => setMinutes(minutes - STEP_MINUTES)}
          >
            −
          </button>
          <output aria-label="Ready in">{minutes} min</output>
          <button
            type="button"
            aria-label={`${STEP_MINUTES} minutes more`}
            disabled={minutes >= MOST_MINUTES}
            onClick={() => setMinutes(minutes + STEP_MINUTES)}
          >
            +
          </button>
        </span>
      </div>
      <button
        type="button"
        class="main large"
        onClick={() => onAccept(toRfc3339(new Date(Date.now() + minutes * 60_000).toISOString()))}
      >
        Accept
      </button>
      <Asked
        text="Reject …"
        title="Why can you not make it?"
        yes="Reject the order"
        no="Keep it"
        isBad
        act={() => reject(reason)}
      >
        {REASONS.map(([value, text]) => (
          <label key={value} class="choice">
            <input type="radio" name="reason" checked={reason === value} onChange={() => setReason(value)} />
            {text}
          </label>
        ))}
        <p class="hint">The customer is told, and pays nothing.</p>
      </Asked>
    </>
  );
}

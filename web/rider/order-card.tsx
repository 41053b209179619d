/** One order of a rider: where it is picked up and where it goes, and the next step. */
import { useState } from 'preact/hooks';
import { FaultText, Time } from '../elements.tsx';
import { sentenceOf } from '../faults.ts';
import { api, outcomeOf } from '../server.ts';
import { toRfc3339 } from '../times.ts';
import { shortId } from '../words.ts';
import { addressLines, type Carried, type Place, readyText } from './carried.ts';

const STEPS = {
  ASSIGNED: ['PICKED_UP', 'Picked up'],
  PICKED_UP: ['DELIVERED', 'Delivered'],
} as const;

interface CardProps {
  readonly riderId: string;
  readonly order: Carried;
  readonly place: Place | undefined;
  readonly now: number;
}

export function OrderCard({ riderId, order, place, now }: CardProps) {
  const { orderId, status, pickup, dropoff, eta } = order;
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [next, text] = STEPS[status];
  const isPickedUp = status === 'PICKED_UP';

  async function report(): Promise<void> {
    if (isBusy) return;
    setBusy(true);
    const body = {
      status: next,
      timestamp: toRfc3339(new Date().toISOString()),
      ...(place ? { location: place } : {}),
    };
    const params = { path: { rid: riderId, id: orderId } };
    const { faults } = await outcomeOf(api.PATCH('/v1/riders/{rid}/orders/{id}', { params, body }));
    setFault(sentenceOf(faults));
    setBusy(false);
  }
  return (
    <article class="card ticket" aria-labelledby={`order-${orderId}`} aria-busy={isBusy}>
      <header class="row">
        <h2 id={`order-${orderId}`}>Order {shortId(orderId)}</h2>
        {eta && (
          <span class="hint">
            at the door by <Time at={eta} style="short" />
          </span>
        )}
      </header>
      <dl class="way-points">
        <dt>From</dt>
        <dd class={isPickedUp ? 'quiet' : ''}>
          <strong>{pickup.name ?? pickup.restaurantId ?? 'The sender'}</strong>
          {pickup.address && <span>{pickup.address}</span>}
          {!isPickedUp && <span class="hint">{readyText(pickup, now)}</span>}
        </dd>
        <dt>To</dt>
        <dd>
          {dropoff.contact?.name && <strong>{dropoff.contact.name}</strong>}
          {addressLines(dropoff).map((line) => (
            <span key={line}>{line}</span>
          ))}
          {dropoff.contact?.phone && <a href={`tel:${dropoff.contact.phone}`}>{dropoff.contact.phone}</a>}
        </dd>
      </dl>
      <button type="button" class="main large" onClick={report}>
        {text}
      </button>
      <FaultText text={fault} />
    </article>
  );
}

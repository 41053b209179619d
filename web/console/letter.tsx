/** One dead letter: its record and headers, the history of its order, replay and discard. */

import { useState } from 'preact/hooks';
import { useLocation, useRoute } from 'preact-iso';
import { Asked } from '../asked.tsx';
import { Time } from '../elements.tsx';
import { sentenceOf } from '../faults.ts';
import { api, outcomeOf } from '../server.ts';
import { laidOut } from './json-text.ts';
import { groupAddress } from './letters-address.ts';
import { usePolled } from './polled.ts';
import { Act, View } from './view.tsx';

/** How many characters of an error tell groups apart; the server's ERROR_LENGTH. */
const ERROR_LENGTH = 200;

export function Letter() {
  const { id = '' } = useRoute().params;
  const { route } = useLocation();
  const params = { path: { id } };
  /** How often handling had been tried when a replay was requested here. */
  const [tried, setTried] = useState<number>();
  const polled = usePolled(`letter ${id}`, () => outcomeOf(api.GET('/admin/dlq/{id}', { params })));
  const letter = polled.data;
  if (polled.faults[0]?.code === 'DEAD_LETTER_NOT_FOUND')
    return (
      <View title={`Letter ${id}`} polled={{ data: id, faults: [] }}>
        <p class="nothing" role="status">
          {tried === undefined ? 'There is no such letter' : 'The consumer has handled it'}: a letter goes
          when it is replayed or discarded. <a href="/console/letters">All dead letters</a>
        </p>
      </View>
    );
  if (!letter) return <View title={`Letter ${id}`} polled={polled} />;
  const { consumer, error = '', retryCount } = letter;
  const group = { consumer, error: [...error].slice(0, ERROR_LENGTH).join('') };
  return (
    <View
      title={`Letter ${id}`}
      polled={polled}
      aside={
        <div class="buttons">
          <Act
            text="Replay"
            act={async () => {
              const outcome = await outcomeOf(api.POST('/admin/dlq/{id}/replay', { params }));
              if (outcome.data) setTried(retryCount);
              polled.reload();
              return outcome;
            }}
          />
          <Asked
            text="Discard …"
            title="Discard this letter?"
            yes="Discard it"
            no="Keep it"
            isBad
            act={async () => {
              const { faults } = await outcomeOf(api.DELETE('/admin/dlq/{id}', { params }));
              if (faults.length === 0) route(groupAddress(group), true);
              return sentenceOf(faults);
            }}
          >
            <p>
              {consumer} will not handle this event. Later events of its order go on. This cannot be undone.
            </p>
          </Asked>
        </div>
      }
    >
      <p role="status">
        {tried !== undefined &&
          (tried < retryCount
            ? 'The replay failed again, with the error below.'
            : 'Replay requested; it starts within seconds …')}
      </p>
      <dl class="facts">
        <dt>Error</dt>
        <dd class="error">{error || 'none: it is parked behind a dead letter of its order'}</dd>
        <dt>Consumer</dt>
        <dd>{error ? <a href={groupAddress(group)}>{consumer}</a> : consumer}</dd>
        <dt>Topic</dt>
        <dd>{letter.topic}</dd>
        <dt>Order</dt>
        <dd>{letter.orderId}</dd>
        <dt>Event</dt>
        <dd>{letter.eventId}</dd>
        <dt>Tries</dt>
        <dd>{retryCount}</dd>
        <dt>Since</dt>
        <dd>
          <Time at={letter.createdAt} />
        </dd>
      </dl>
      <h2>Record</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keyboard */}
      <pre tabIndex={0}>{laidOut(letter.recordText)}</pre>
      <h2>History of the order</h2>
      <History orderId={letter.orderId} />
    </View>
  );
}

function History({ orderId }: { readonly orderId: string }) {
  const polled = usePolled(`history ${orderId}`, () =>
    outcomeOf(api.GET('/ui/orders/{id}/history', { params: { path: { id: orderId } } })),
  );
  const entries = polled.data?.history;
  if (!entries) return <p class="hint">{sentenceOf(polled.faults) || 'Loading …'}</p>;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col">Event</th>
          <th scope="col">Producer</th>
        </tr>
      </thead>
      <tbody>
        {entries.map(({ eventId, at, eventType, producer }) => (
          <tr key={eventId}>
            <td data-head="Time">
              <Time at={at} />
            </td>
            <td data-head="Event">{eventType}</td>
            <td data-head="Producer">{producer}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What the holder of a link may do: move the order to another time, cancel it, send the link on, order again. */
import { useState } from 'preact/hooks';
import { againHash } from '../again.ts';
import { Asked } from '../asked.tsx';
import { sentenceOf } from '../faults.ts';
import { api, outcomeOf } from '../server.ts';
import { localText, toRfc3339 } from '../times.ts';
import { cancelText, type Tracked } from './tracked-order.ts';

const SOON_MS = 30 * 60_000;

interface ChangesProps {
  readonly token: string;
  readonly order: Tracked;
  readonly mayChange: boolean;
  readonly isOver: boolean;
  readonly amount: (value: number) => string;
}

export function Changes({ token, order, mayChange, isOver, amount }: ChangesProps) {
  const again = againHash({
    ...(order.restaurantId ? { restaurantId: order.restaurantId } : {}),
    items: order.items,
  });
  return (
    <div class="actions">
      {mayChange && order.canReschedule && <Reschedule token={token} order={order} />}
      {mayChange && order.canCancel && <Cancel token={token} text={cancelText(order, amount)} />}
      {isOver && order.items.length > 0 && (
        <a class="button main" href={`/${again}`} target="_top">
          Order again
        </a>
      )}
    </div>
  );
}

function Reschedule({ token, order }: { readonly token: string; readonly order: Tracked }) {
  const [time, setTime] = useState('');
  const params = { path: { token } };
  const begin = () => {
    const from = Math.max(Date.now() + SOON_MS, order.scheduledAt ? Date.parse(order.scheduledAt) : 0);
    setTime(localText(new Date(from)));
  };
  return (
    <Asked
      text="Change the time"
      title="When should it be?"
      yes="Change the time"
      no="Keep the time"
      onOpen={begin}
      act={() =>
        outcomeOf(
          api.PATCH('/v1/tracking/{token}/schedule', { params, body: { scheduledAt: toRfc3339(time) } }),
        ).then(({ faults }) => sentenceOf(faults))
      }
    >
      <label for="new-time">New time</label>
      <input
        id="new-time"
        type="datetime-local"
        required
        value={time}
        min={localText(new Date())}
        onInput={(event) => setTime(event.currentTarget.value)}
      />
      <p class="hint">It costs nothing until the kitchen begins.</p>
    </Asked>
  );
}

function Cancel({ token, text }: { readonly token: string; readonly text: string }) {
  const params = { path: { token } };
  return (
    <Asked
      text="Cancel the order"
      title="Cancel this order?"
      yes="Cancel the order"
      no="Keep the order"
      isBad
      act={() =>
        outcomeOf(api.POST('/v1/tracking/{token}/cancel', { params, body: {} })).then(({ faults }) =>
          sentenceOf(faults),
        )
      }
    >
      <p>{text}</p>
    </Asked>
  );
}

/** Sends a link that can only be read, by the device's own means or the clipboard. */
export function Send({ path }: { readonly path: string }) {
  const [said, setSaid] = useState('');
  const url = new URL(path, location.href).href;
  async function send(): Promise<void> {
    try {
      if (navigator.share) return await navigator.share({ title: 'My order', url });
      await navigator.clipboard.writeText(url);
      setSaid('The link is copied.');
    } catch (error) {
      // Without a secure connection a page may not use the clipboard; a person can copy the text.
      if ((error as Error).name !== 'AbortError') setSaid(url);
    }
  }
  return (
    <div class="send">
      <button type="button" onClick={send}>
        Send this link
      </button>
      <p class="hint" role="status">
        {said || 'Whoever has it can follow the order, and change nothing.'}
      </p>
    </div>
  );
}

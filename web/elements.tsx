/** What several pages show: times, faults, the state of the connection, and a clock that draws them anew. */
import { useEffect, useState } from 'preact/hooks';
import type { Connection } from './follow.ts';
import { timeText } from './times.ts';

/** The time, epoch ms; draws the caller anew each `ms`. */
export function useNow(ms: number): number {
  const [now, set] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return now;
}

export function Time({ at, style }: { readonly at: string; readonly style?: 'short' | 'medium' }) {
  return <time dateTime={at}>{timeText(at, Date.now(), style)}</time>;
}

/** A fault, read out when it appears: the element is there before its text. */
export function FaultText({ text, id }: { readonly text: string; readonly id?: string }) {
  return (
    <p class="fault" role="alert" id={id}>
      {text}
    </p>
  );
}

/** Says that the connection is lost; `isShown` if something from before is still on the page. */
export function Connected({
  connection,
  isShown,
}: {
  readonly connection: Connection;
  readonly isShown: boolean;
}) {
  const isLost = connection === 'lost';
  return (
    <p class={isLost ? 'notice' : 'unseen'} role="status" id="connection">
      {isLost && (
        <>
          Connection lost. {isShown && 'This is how it was last seen. '}
          Connecting again …
        </>
      )}
    </p>
  );
}

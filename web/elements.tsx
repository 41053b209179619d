/** What several pages show: times, faults, and a clock that draws them anew. */
import { useEffect, useState } from 'preact/hooks';
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

/** What the console's views share: their heading, what is wrong, and a button that says how its action went. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { FaultText } from '../elements.tsx';
import { type Fault, sentenceOf } from '../faults.ts';
import type { Outcome } from '../server.ts';
import type { Polled } from './polled.ts';

interface ViewProps {
  readonly title: string;
  readonly polled: Pick<Polled<unknown>, 'data' | 'faults'>;
  /** Beside the heading. */
  readonly aside?: ComponentChildren;
  readonly children?: ComponentChildren;
}

export function View({ title, polled: { data, faults }, aside, children }: ViewProps) {
  useEffect(() => {
    document.title = `${title} · Tiffin console`;
  }, [title]);
  return (
    <section>
      <div class="title">
        <h1>{title}</h1>
        {aside}
      </div>
      <FaultText text={faultOf(faults, data !== undefined)} />
      {data === undefined && faults.length === 0 && <p class="hint">Loading …</p>}
      {data !== undefined && children}
    </section>
  );
}

function faultOf(faults: readonly Fault[], isShown: boolean): string {
  if (faults.length === 0 || faults[0]?.code === 'UNAUTHENTICATED') return '';
  return `${sentenceOf(faults)}${isShown ? ' This is how it was last seen; trying again …' : ''}`;
}

interface ActProps {
  readonly text: string;
  /** For those who do not see the row. */
  readonly label?: string;
  readonly disabled?: boolean;
  readonly act: () => Promise<Outcome<unknown>>;
}

export function Act({ text, label = text, disabled = false, act }: ActProps) {
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  return (
    <>
      <button
        type="button"
        aria-label={label}
        disabled={disabled || isBusy}
        onClick={async () => {
          setBusy(true);
          setFault(sentenceOf((await act()).faults));
          setBusy(false);
        }}
      >
        {text}
      </button>
      <FaultText text={fault} />
    </>
  );
}

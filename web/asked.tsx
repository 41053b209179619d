/** A button whose dialog asks before anything happens. */
import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { FaultText } from './elements.tsx';

interface AskedProps {
  readonly text: string;
  readonly title: string;
  readonly yes: string;
  readonly no: string;
  readonly isBad?: boolean;
  readonly onOpen?: () => void;
  /** Resolves with what is wrong, or with an empty text. */
  readonly act: () => Promise<string>;
  readonly children: ComponentChildren;
}

export function Asked({ text, title, yes, no, isBad = false, onOpen, act, children }: AskedProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    const said = await act();
    setBusy(false);
    setFault(said);
    if (!said) dialog.current?.close();
  }
  return (
    <>
      <button
        type="button"
        class={isBad ? 'bad' : ''}
        onClick={() => {
          setFault('');
          onOpen?.();
          dialog.current?.showModal();
        }}
      >
        {text}
      </button>
      <dialog ref={dialog} aria-label={title}>
        <form onSubmit={submit} aria-busy={isBusy}>
          <h2>{title}</h2>
          {children}
          <FaultText text={fault} />
          <div class="actions">
            <button type="button" onClick={() => dialog.current?.close()}>
              {no}
            </button>
            <button type="submit" class={isBad ? 'main bad' : 'main'}>
              {yes}
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}

/** A labelled field with the faults that the server found in it. */
import { type ComponentChildren, createContext } from 'preact';
import { useContext } from 'preact/hooks';

/** The faults of each visible field by its JSON pointer. */
export const Faults = createContext<ReadonlyMap<string, readonly string[]>>(new Map());

interface FieldProps {
  readonly type?: 'number' | 'datetime-local';
  readonly autocomplete?: string;
  readonly autocapitalize?: 'none';
  readonly inputMode?: 'decimal' | 'numeric';
  readonly spellcheck?: boolean;
  readonly list?: string;
  readonly min?: string;
  readonly step?: string;
  readonly name: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly pointers?: readonly string[];
  readonly children: ComponentChildren;
}

/** A labelled field with its faults below. */
export function Field({ name, value, onValue, pointers = [`/${name}`], children, ...rest }: FieldProps) {
  const faults = useContext(Faults);
  const isInvalid = pointers.some((pointer) => faults.has(pointer));
  return (
    <div class="field">
      <label for={name}>{children}</label>
      <input
        autocomplete="off"
        {...rest}
        id={name}
        value={value}
        onInput={(event) => onValue(event.currentTarget.value)}
        {...(isInvalid ? { 'aria-invalid': 'true', 'aria-describedby': `fault-of-${name}` } : {})}
      />
      <FaultsAt pointers={pointers} id={`fault-of-${name}`} />
    </div>
  );
}

export function FaultsAt({ pointers, id }: { readonly pointers: readonly string[]; readonly id?: string }) {
  const faults = useContext(Faults);
  const found = pointers.flatMap((pointer) => faults.get(pointer) ?? []);
  return found.length > 0 ? (
    <p class="fault" id={id}>
      {found.join('; ')}
    </p>
  ) : null;
}

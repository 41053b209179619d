/** One line of an order by items, whose ids are typed. */
import { Field } from './field.tsx';
import type { Line } from './order-request.ts';

interface ItemProps {
  readonly n: number;
  readonly line: Line;
  readonly onChange: (part: Partial<Line>) => void;
  readonly onRemove: () => void;
}

export function ItemLine({ n, line, onChange, onRemove }: ItemProps) {
  const field = (name: keyof Line) => ({
    name: `items-${n}-${name}`,
    value: line[name],
    onValue: (value: string) => onChange({ [name]: value }),
    pointers: [`/items/${n}/${name}`, ...(name === 'itemId' ? [`/items/${n}`] : [])],
  });
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset in a fieldset would draw a second frame
    <div class="line" role="group" aria-label={`Item ${n + 1}`}>
      <Field {...field('itemId')} list="items" autocapitalize="none" spellcheck={false}>
        Item
      </Field>
      <Field {...field('quantity')} type="number" min="1" step="1" inputMode="numeric">
        Quantity
      </Field>
      <Field {...field('unitPrice')} inputMode="decimal">
        Price, if not in the catalogue
      </Field>
      <button type="button" aria-label={`Remove item ${n + 1}`} onClick={onRemove}>
        Remove
      </button>
    </div>
  );
}

/** Where an order is brought. */
import { Field } from './field.tsx';
import type { Values } from './order-request.ts';

const ADDRESS = [
  ['street', 'Street', 'address-line1'],
  ['city', 'City', 'address-level2'],
  ['state', 'State', 'address-level1'],
  ['zipCode', 'Zip code', 'postal-code'],
] as const;

export function Address({ values, onChange }: { values: Values; onChange: (part: Partial<Values>) => void }) {
  return (
    <>
      {ADDRESS.map(([name, text, autocomplete]) => (
        <Field
          key={name}
          name={name}
          autocomplete={autocomplete}
          pointers={[`/deliveryAddress/${name}`]}
          value={values.address[name]}
          onValue={(value) => onChange({ address: { ...values.address, [name]: value } })}
        >
          {text}
        </Field>
      ))}
    </>
  );
}

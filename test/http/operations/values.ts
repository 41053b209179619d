/** Values to compare a schema of the API's document with the server by: mostly valid ones, and those beside each bound. */
import fc from 'fast-check';

type Json = boolean | { readonly [keyword: string]: unknown };

const LENGTHS = [63, 64, 65, 127, 128, 129, 255, 256, 257].flatMap((length) => [
  'x'.repeat(length),
  '😀'.repeat(length),
  ` ${'x'.repeat(length)} `,
]);

const TIMES = [
  ...['2001-01-31T18:30:00Z', '2001-01-31t18:30:00z', '2001-01-31T18:30:00.5+05:30', '0000-01-01T00:00:00Z'],
  ...['2001-02-29T00:00:00Z', '2000-02-29T00:00:00Z', '2001-01-31T24:00:00Z', '2001-01-31T18:30Z'],
  ...[
    '2001-01-31T18:30:00',
    '2001-01-31',
    '2001-01-31T18:30:00+0530',
    '2001-01-31T18:30:00+24:00',
    '2001-13-01',
  ],
  ...['1998-12-31T23:59:60Z', '1999-01-01T00:59:60+01:00', '1998-12-31T23:58:60Z', '2001-01-31T18:30:00.Z'],
  ...['12001-01-31T18:30:00Z', '2001-1-31T18:30:00Z', '2001-01-31T18:30:00-00:00', ' 2001-01-31T18:30:00Z'],
];

export const STRINGS = [
  ...LENGTHS,
  ...TIMES,
  ...[
    '',
    ' ',
    '\t',
    '\n',
    '\u00a0',
    '\ufeff',
    '\u200b',
    '\u0085',
    '\u2028',
    '\u3000x',
    '\u0000',
    'x\n',
    '\u007f',
  ],
  ...[
    '12.5',
    '12.50',
    '12.505',
    '12.500',
    ' 1\n',
    '9999999999.99',
    '10000000000',
    '000009999999999.99',
    '-1',
    '-0',
  ],
  ...[
    '1e3',
    '٣',
    '.5',
    '5.',
    '+5',
    '0x10',
    'USD',
    'JPY',
    'KWD',
    'usd',
    'USDX',
    '12345',
    '1',
    'AB 1-2',
    '-12',
    'é',
  ],
  ...[
    'a',
    'A.b-c_d',
    '.a',
    '-a',
    '_a',
    'a b',
    'a/b',
    '0',
    '5',
    '05',
    '200',
    '201',
    ' 5',
    '5.0',
    '1e1',
    '1~a',
    '~a',
  ],
  ...['1~.a', '1234567890123456~a', '1~a\n', 'true', 'ACCEPT', 'automatic', 'CREATED', 'PICKED_UP'],
];

const NUMBERS = [
  ...[
    -1,
    -0,
    0,
    0.001,
    0.01,
    0.29,
    0.5,
    1,
    1.5,
    2,
    90.0001,
    0.1 + 0.2,
    1e-7,
    19.99,
    100,
    101,
    10_000,
    10_001,
  ],
  ...[9_999_999_999.99, 1e10, 1e15 + 0.5, 1e21, 1e308, 2 ** 53 + 2, -180, -180.5, -90],
];

const OTHERS = [null, true, false, [], {}, [1], { a: 1 }, [[]]];
const anything = fc.oneof(...[STRINGS, NUMBERS, OTHERS].map((some) => fc.constantFrom<unknown>(...some)));

/** The value with each of its parts, of a list the first, replaced by each odd value in turn. */
export function* variantsOf(value: unknown): Generator<unknown> {
  yield* [...STRINGS, ...NUMBERS, ...OTHERS];
  if (typeof value !== 'object' || value === null) return;
  for (const [name, part] of Object.entries(Array.isArray(value) ? value.slice(0, 1) : value))
    for (const variant of variantsOf(part))
      yield Array.isArray(value)
        ? Object.assign([...value], { [name]: variant })
        : { ...value, [name]: variant };
}

export function valuesOf(schema: Json): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 80, arbitrary: fittingOf(schema) }, { weight: 1, arbitrary: anything });
}

function fittingOf(schema: Json): fc.Arbitrary<unknown> {
  if (typeof schema === 'boolean') return anything;
  if ('const' in schema) return fc.constant(schema.const);
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum);
  const forms = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(forms) && schema.type !== 'object') return fc.oneof(...forms.map(valuesOf));
  switch (schema.type) {
    case 'string':
      return stringsOf(schema);
    case 'number':
    case 'integer':
      return fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom(...boundsOf(schema)) },
        { weight: 1, arbitrary: fc.constantFrom(...NUMBERS) },
      );
    case 'array':
      return listsOf(schema);
    case 'object':
      return objectsOf(schema);
    default:
      return anything;
  }
}

function stringsOf({
  pattern,
  format,
  maxLength,
}: {
  pattern?: string;
  format?: string;
  maxLength?: number;
}) {
  const odd = fc.constantFrom(...(format ? TIMES : STRINGS));
  if (!pattern) return odd;
  const matching = fc.stringMatching(new RegExp(pattern, 'u'), { maxLength: Math.min(maxLength ?? 12, 12) });
  return fc.oneof({ weight: 40, arbitrary: matching }, { weight: 2, arbitrary: odd });
}

function boundsOf({ minimum = 0, maximum = 0 }: { minimum?: number; maximum?: number }): number[] {
  const inside = [minimum, minimum + 1, maximum - 1, maximum];
  return [...inside, ...inside, ...inside, minimum - 1, maximum + 1];
}

function listsOf({ items, maxItems = 3 }: { items?: Json; maxItems?: number }): fc.Arbitrary<unknown> {
  const one = valuesOf(items ?? true);
  const long = fc
    .tuple(one, fc.constantFrom(maxItems, maxItems + 1))
    .map(([value, length]) => Array(length).fill(value));
  return fc.oneof(
    { weight: 9, arbitrary: fc.array(one, { minLength: 1, maxLength: 3 }) },
    { weight: 1, arbitrary: fc.oneof(long, fc.constant([])) },
  );
}

function objectsOf(schema: {
  properties?: Record<string, Json>;
  required?: string[];
}): fc.Arbitrary<unknown> {
  const { properties = {}, required = [] } = schema;
  const entries = Object.entries(properties).map(([name, inner]) => {
    // A schema that nothing fits says that the property must be absent.
    const isForbidden = typeof inner === 'object' && 'not' in inner && Object.keys(inner).length === 1;
    const absent = required.includes(name) ? 1 : isForbidden ? 40 : 20;
    const arbitrary = valuesOf(inner).map((value) => [[name, value]]);
    return fc.oneof({ weight: 40 - absent + 1, arbitrary }, { weight: absent, arbitrary: fc.constant([]) });
  });
  const unknown = fc.oneof(
    { weight: 5, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.constant([['unknown', 1]]) },
  );
  return fc
    .tuple(unknown, ...entries)
    .map((parts) => Object.fromEntries(parts.flat() as [string, unknown][]));
}

/** Generates a sample of every event from its schema, and derives from it the flat fields on each topic. */
import { z } from 'zod';
import { ENVELOPE, type Event, type EventType, PAYLOADS } from '../../internal/domain/events.ts';
import { ORDER_STATUSES } from '../../internal/domain/order.ts';
import { toRecord } from '../../internal/domain/records.ts';

export type Schema = { [key: string]: unknown };

const TIME = '2030-01-01T12:00:00.000Z';
/** Sample strings; the last one that matches a schema's pattern is used: an amount, or else a currency. */
const SAMPLE_STRINGS = ['USD', '12.50'];

/** The JSON schema for readers of a type; unknown fields are allowed, because new ones may be added. */
export function schemaOf(type: z.ZodType): Schema {
  const { $schema, ...schema } = z.toJSONSchema(type, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // zod adds these bounds to every integer; they are no information.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      // `format` says the same as the pattern, which has a thousand characters.
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
    },
  });
  return schema;
}

/** A value that the schema allows: with all properties, or with the required ones only. */
function sampleOf(schema: Schema, isFull: boolean): unknown {
  if (Array.isArray(schema.enum)) return schema.enum[0];
  switch (schema.type) {
    case 'string':
      if (schema.format === 'date-time') return TIME;
      return SAMPLE_STRINGS.findLast((text) => new RegExp(String(schema.pattern ?? ''), 'u').test(text));
    case 'integer':
      return 1;
    case 'array':
      return [sampleOf(schema.items as Schema, isFull)];
    case 'object':
      return Object.fromEntries(
        Object.entries((schema.properties ?? {}) as Record<string, Schema>)
          .filter(([name]) => isFull || ((schema.required ?? []) as string[]).includes(name))
          .map(([name, property]) => [name, sampleOf(property, isFull)]),
      );
    default:
      throw new TypeError(`no sample can be made of ${JSON.stringify(schema)}`);
  }
}

export function sampleEvent(eventType: EventType, isFull = true): Event {
  const payload = sampleOf(schemaOf(PAYLOADS[eventType]), isFull) as Schema;
  const status = eventType.slice('order.'.length).toUpperCase();
  const isChange = 'status' in payload && (ORDER_STATUSES as readonly string[]).includes(status);
  const envelope = sampleOf(schemaOf(ENVELOPE), isFull) as Schema;
  return {
    ...envelope,
    eventType,
    payload: PAYLOADS[eventType].parse(isChange ? { ...payload, status } : payload),
  } as Event;
}

/** The fields that a topic's records add to the envelope of an event or replace in it. */
export function flatFields(
  eventType: EventType,
  topic: string,
): { properties: Record<string, Schema>; required: string[] } {
  const [full, least] = [true, false].map((isFull) => {
    const event: Schema = { ...sampleEvent(eventType, isFull) };
    const record: Schema = JSON.parse(JSON.stringify(toRecord(sampleEvent(eventType, isFull), topic)));
    for (const key of Object.keys(event))
      if (record[key] === event[key] || key === 'payload') delete record[key];
    return record;
  });
  return {
    properties: Object.fromEntries(Object.entries(full ?? {}).map(([key, value]) => [key, shapeOf(value)])),
    required: Object.keys(least ?? {}),
  };
}

function shapeOf(value: unknown): Schema {
  if (Array.isArray(value)) return { type: 'array', items: shapeOf(value[0]) };
  if (value === null) throw new TypeError('a flat field of the sample is null, so its type is unknown');
  if (typeof value === 'object') {
    return {
      type: 'object',
      properties: Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)])),
    };
  }
  if (value === TIME) return { type: 'string', format: 'date-time' };
  return { type: typeof value, ...(SAMPLE_STRINGS.includes(String(value)) ? {} : { examples: [value] }) };
}

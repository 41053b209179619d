/** Samples of every event, made from its schema, and the flat fields that they have on each topic. */
import { z } from 'zod';
import { ENVELOPE, type Event, type EventType, PAYLOADS } from '../../internal/domain/events.ts';
import { ORDER_STATUSES } from '../../internal/domain/order.ts';
import { toRecord } from '../../internal/domain/records.ts';

export type Schema = { [key: string]: unknown };

const TIME = '2030-01-01T12:00:00.000Z';
/** Strings to choose from, the last first that matches: an amount, which need not have a pattern, or a currency. */
const MATCHING = ['USD', '12.50'];

/** The schema as a reader may rely on it; fields that it does not name may be added any time. */
export function schemaOf(type: z.ZodType): Schema {
  const { $schema, ...schema } = z.toJSONSchema(type, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // Every integer has these bounds; they tell nothing.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      // `format` says it, in fewer than the thousand characters of the pattern.
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
    },
  });
  return schema;
}

/** A value that the schema allows: with all that may be there, or only with what must. */
function sampleOf(schema: Schema, isFull: boolean): unknown {
  if (Array.isArray(schema.enum)) return schema.enum[0];
  switch (schema.type) {
    case 'string':
      if (schema.format === 'date-time') return TIME;
      return MATCHING.findLast((text) => new RegExp(String(schema.pattern ?? ''), 'u').test(text));
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

/** The fields of an event's records on a topic beside those of its envelope, or in their place. */
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
  if (value === null) throw new TypeError('a sample lacks what a flat field is made of');
  if (typeof value === 'object') {
    return {
      type: 'object',
      properties: Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)])),
    };
  }
  if (value === TIME) return { type: 'string', format: 'date-time' };
  return { type: typeof value, ...(MATCHING.includes(String(value)) ? {} : { examples: [value] }) };
}

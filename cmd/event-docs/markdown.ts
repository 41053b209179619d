/** The same as a page to read: which events there are, who announces them when, what they carry, and what stands on each topic. */
import { type EventType, PAYLOADS } from '../../internal/domain/events.ts';
import {
  ALL_TOPICS,
  DEAD_LETTER_TOPICS,
  INBOUND_TOPICS,
  TOPICS,
  typesOn,
} from '../../internal/domain/topics.ts';
import type { AnyConsumer } from '../../internal/service/stream/consumer.ts';
import { ORIGINS } from './catalogue.ts';
import { flatFields, type Schema, schemaOf } from './samples.ts';

export function eventsPage(consumers: readonly AnyConsumer[]): string {
  const events = (Object.keys(TOPICS) as EventType[]).map((type) => [
    code([type]),
    ORIGINS[type].when,
    ORIGINS[type].by.join(', ') || 'another system',
    code(TOPICS[type]),
    code(fieldsOf(schemaOf(PAYLOADS[type]))),
  ]);
  const topics = ALL_TOPICS.map((topic) => [
    code([topic]),
    code(typesOn(topic)),
    code(flatOn(topic)),
    code(consumers.filter(({ topics: read }) => read.includes(topic)).map(({ name }) => name)),
  ]);
  return `# Events

Made by \`npm run asyncapi\` from \`internal/domain/events.ts\` and \`topics.ts\`, with [asyncapi.json](asyncapi.json), which
has every field's type. Do not edit it by hand.

Every record is a JSON object with the envelope's fields \`eventId\`, \`eventType\`, \`schemaVersion\`, \`occurredAt\`,
\`producedAt\`, \`orderId\`, \`correlationId\`, \`producer\`, \`payload\`, and \`traceparent\` where a request set it off. Its key is the
order id. It may come more than once: \`eventId\` tells. Fields marked ? may be absent, and new ones may be added.

${table(['event', 'when', 'announced by', 'topics', 'payload'], events)}
## Topics

Beside the envelope stand, for plain consumers, the flat fields. \`${INBOUND_TOPICS.join('`, `')}\` is written by others alone, as
\`{user_id, items[{item_id, quantity, price}]}\`.

${table(['topic', 'events', 'flat fields', 'read by'], topics)}
A record on ${DEAD_LETTER_TOPICS.map((topic) => `\`${topic}\``).join(', ')} is one that a consumer could not handle, as it was, with
the headers \`x-retry-count\`, \`x-original-topic\`, \`x-error\` and \`x-consumer\`.
`;
}

function fieldsOf(schema: Schema): string[] {
  const required = (schema.required ?? []) as string[];
  return Object.keys(schema.properties ?? {}).map((name) => (required.includes(name) ? name : `${name}?`));
}

/** Of all events on the topic. */
function flatOn(topic: string): string[] {
  if (INBOUND_TOPICS.includes(topic)) return [];
  const all = typesOn(topic).map((type) => flatFields(type, topic));
  const names = new Set(all.flatMap(({ properties }) => Object.keys(properties)));
  return [...names].map((name) => (all.every(({ required }) => required.includes(name)) ? name : `${name}?`));
}

const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(' ');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

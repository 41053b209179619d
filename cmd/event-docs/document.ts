/** The AsyncAPI 3.0 document of all topics, made from the schemas of events, the table of topics and the consumers themselves. */
import { ENVELOPE, type EventType, isEventType, PAYLOADS } from '../../internal/domain/events.ts';
import {
  ALL_TOPICS,
  DEAD_LETTER_TOPICS,
  deadLetterTopic,
  INBOUND_TOPICS,
  TOPICS,
  typesOn,
} from '../../internal/domain/topics.ts';
import type { AnyConsumer } from '../../internal/service/stream/consumer.ts';
import { ORIGINS } from './catalogue.ts';
import { flatFields, type Schema, schemaOf } from './samples.ts';

export interface AsyncApiDocument {
  readonly asyncapi: '3.0.0';
  readonly info: Schema;
  readonly servers: Record<string, Schema>;
  readonly defaultContentType: string;
  readonly channels: Record<string, Schema & { readonly messages: Record<string, Schema> }>;
  readonly operations: Record<string, Schema>;
  readonly components: {
    readonly messageTraits: Record<string, Schema>;
    readonly schemas: Record<string, Schema>;
    readonly messages: Record<string, Schema>;
  };
}

const BINDING_VERSION = '0.5.0';
const TEXT = { type: 'string' };

/** A record of another system, as the order-manager document has it. */
const VALIDATED_ORDER: Schema = {
  type: 'object',
  required: ['user_id', 'items'],
  properties: {
    user_id: { type: 'string', minLength: 1, maxLength: 128 },
    items: {
      type: 'array',
      minItems: 1,
      maxItems: 100,
      items: {
        type: 'object',
        required: ['item_id', 'quantity', 'price'],
        properties: {
          item_id: TEXT,
          quantity: { type: 'integer', minimum: 1, maximum: 10_000 },
          price: { type: ['number', 'string'], description: 'a decimal with at most two places' },
        },
      },
    },
  },
  examples: [{ user_id: 'user-001', items: [{ item_id: 'sushi-set', quantity: 1, price: 12.5 }] }],
};

const HEADERS: Schema = {
  type: 'object',
  properties: { eventType: TEXT, eventId: TEXT, 'content-type': { const: 'application/json' } },
};
const LETTER_HEADERS: Schema = {
  type: 'object',
  required: ['x-retry-count', 'x-original-topic', 'x-error', 'x-consumer'],
  properties: {
    'x-retry-count': { type: 'string', description: 'how often it was tried, in decimal', examples: ['3'] },
    'x-original-topic': { type: 'string', enum: ALL_TOPICS.filter((topic) => !isDeadLetters(topic)) },
    'x-error': { type: 'string', description: 'why it could not be handled' },
    'x-consumer': { type: 'string', description: 'who could not handle it' },
  },
};
const KEYED_BY_ORDER = {
  kafka: { key: { type: 'string', description: 'the order id' }, bindingVersion: BINDING_VERSION },
};

const reference = (...steps: string[]): Schema => ({ $ref: `#/${steps.join('/')}` });
const typesOfAll = Object.keys(TOPICS) as EventType[];

function isDeadLetters(topic: string): boolean {
  return (DEAD_LETTER_TOPICS as readonly string[]).includes(topic);
}

export function asyncApiDocument(consumers: readonly AnyConsumer[]): AsyncApiDocument {
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Tiffin',
      version: '1',
      description:
        'The facts that the services of Tiffin announce. The key of every record is its order id, so the events of one order keep their order. Delivery is at least once: `eventId` tells a repetition. Changes are additive.',
    },
    servers: {
      kafka: {
        host: '127.0.0.1:9092',
        protocol: 'kafka',
        description: 'KAFKA_BROKERS; without it the stream is in Postgres',
      },
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(ALL_TOPICS.map((topic) => [topic, channelOf(topic)])),
    operations: { ...announcing(), ...burying(consumers), ...reading(consumers) },
    components: {
      schemas: {
        envelope: schemaOf(ENVELOPE),
        ...Object.fromEntries(typesOfAll.map((type) => [type, schemaOf(PAYLOADS[type])])),
      },
      messageTraits: { event: { headers: HEADERS, bindings: KEYED_BY_ORDER } },
      messages: {
        ...Object.fromEntries(
          typesOfAll.map((type) => [type, type === 'order.validated' ? validatedOrder() : messageOf(type)]),
        ),
        'dead-letter': {
          summary: 'A record that a consumer could not handle, as it was.',
          headers: LETTER_HEADERS,
          payload: {},
          bindings: KEYED_BY_ORDER,
        },
      },
    },
  };
}

function validatedOrder(): Schema {
  return { summary: `Says that ${ORIGINS['order.validated'].when}.`, payload: VALIDATED_ORDER };
}

/** The record of an event; on some topics with flat fields beside the envelope's. */
function messageOf(type: EventType, { properties, required } = flatFields(type, '')): Schema {
  const own = {
    type: 'object',
    properties: {
      eventType: { const: type },
      payload: reference('components', 'schemas', type),
      ...properties,
    },
    required: [...new Set(['eventType', 'payload', ...required])],
  };
  return {
    name: type,
    summary: `Says that ${ORIGINS[type].when}.`,
    traits: [reference('components', 'messageTraits', 'event')],
    payload: { allOf: [reference('components', 'schemas', 'envelope'), own] },
  };
}

function channelOf(topic: string): Schema & { messages: Record<string, Schema> } {
  const messages = typesOn(topic).map((type): [string, Schema] => {
    const flat = flatFields(type, topic);
    const isPlain = Object.keys(flat.properties).length === 0 || INBOUND_TOPICS.includes(topic);
    return [type, isPlain ? reference('components', 'messages', type) : messageOf(type, flat)];
  });
  if (isDeadLetters(topic))
    messages.push(['dead-letter', reference('components', 'messages', 'dead-letter')]);
  return {
    address: topic,
    messages: Object.fromEntries(messages),
    bindings: { kafka: { topic, bindingVersion: BINDING_VERSION } },
  };
}

function operation(
  action: 'send' | 'receive',
  topic: string,
  messages: readonly string[],
  rest: Schema,
): Schema {
  return {
    action,
    channel: reference('channels', topic),
    messages: messages.map((message) => reference('channels', topic, 'messages', message)),
    ...rest,
  };
}

/** One for each service and topic that it announces something on. */
function announcing(): Record<string, Schema> {
  const services = [...new Set(Object.values(ORIGINS).flatMap(({ by }) => by))];
  return Object.fromEntries(
    services.flatMap((service) =>
      ALL_TOPICS.flatMap((topic) => {
        const types = typesOn(topic).filter((type) => ORIGINS[type].by.includes(service));
        const summary = `${service} announces what has happened.`;
        return types.length > 0
          ? [[`${service}.announces.${topic}`, operation('send', topic, types, { summary })] as const]
          : [];
      }),
    ),
  );
}

/** One for each service that may fail at a record, and topic of dead letters. */
function burying(consumers: readonly AnyConsumer[]): Record<string, Schema> {
  return Object.fromEntries(
    consumers.flatMap(({ name, topics }) =>
      topics.map((topic) => {
        const service = serviceOf(name);
        const letters = deadLetterTopic(topic);
        const summary = `${service} announces a record that it could not handle.`;
        return [`${service}.buries.${letters}`, operation('send', letters, ['dead-letter'], { summary })];
      }),
    ),
  );
}

/** One for each consumer and topic that it reads. */
function reading(consumers: readonly AnyConsumer[]): Record<string, Schema> {
  return Object.fromEntries(
    consumers.flatMap(({ name, topics, types }) =>
      topics.flatMap((topic) => {
        const wanted = types.filter((type: string) => isEventType(type) && TOPICS[type].includes(topic));
        const group = {
          kafka: { groupId: { type: 'string', const: name }, bindingVersion: BINDING_VERSION },
        };
        const rest = { summary: `${serviceOf(name)} reacts.`, bindings: group };
        return wanted.length > 0
          ? [[`${name}.reads.${topic}`, operation('receive', topic, wanted, rest)]]
          : [];
      }),
    ),
  );
}

function serviceOf(consumer: string): string {
  return consumer.split('.')[0] as string;
}

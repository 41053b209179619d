/** Generates the AsyncAPI 3.0 document of all topics from the event schemas, the table of topics and the consumers. */
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

/** A validated order from an external system, in the order manager's format. */
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
    'x-retry-count': { type: 'string', description: 'number of attempts, in decimal', examples: ['3'] },
    'x-original-topic': { type: 'string', enum: ALL_TOPICS.filter((topic) => !isDeadLetters(topic)) },
    'x-error': { type: 'string', description: 'the error of the last attempt' },
    'x-consumer': { type: 'string', description: 'the consumer that failed' },
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
        'The events that Tiffin’s services publish. The key of every record is its order id, so the events of one order stay in order. Delivery is at least once; a redelivered record has the same `eventId`. Changes to the schemas are additive.',
    },
    servers: {
      kafka: {
        host: '127.0.0.1:9092',
        protocol: 'kafka',
        description:
          'the brokers in KAFKA_BROKERS; without that setting the event log in Postgres is the stream',
      },
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(ALL_TOPICS.map((topic) => [topic, channelOf(topic)])),
    operations: {
      ...publishOperations(),
      ...deadLetterOperations(consumers),
      ...readOperations(consumers),
    },
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
          summary: 'An unchanged record that a consumer failed to handle.',
          headers: LETTER_HEADERS,
          payload: {},
          bindings: KEYED_BY_ORDER,
        },
      },
    },
  };
}

function validatedOrder(): Schema {
  return { summary: summaryOf('order.validated'), payload: VALIDATED_ORDER };
}

function summaryOf(type: EventType): string {
  return `Published when ${ORIGINS[type].when}.`;
}

/** The message of an event type, on some topics with flat fields beside the envelope. */
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
    summary: summaryOf(type),
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

/** One operation for each service and topic on which it publishes events. */
function publishOperations(): Record<string, Schema> {
  const services = [...new Set(Object.values(ORIGINS).flatMap(({ by }) => by))];
  return Object.fromEntries(
    services.flatMap((service) =>
      ALL_TOPICS.flatMap((topic) => {
        const types = typesOn(topic).filter((type) => ORIGINS[type].by.includes(service));
        const summary = `${service} publishes its events.`;
        return types.length > 0
          ? [[`${service}.publishes.${topic}`, operation('send', topic, types, { summary })] as const]
          : [];
      }),
    ),
  );
}

/** One operation for each service with consumers and each of their dead-letter topics. */
function deadLetterOperations(consumers: readonly AnyConsumer[]): Record<string, Schema> {
  return Object.fromEntries(
    consumers.flatMap(({ name, topics }) =>
      topics.map((topic) => {
        const service = serviceOf(name);
        const letters = deadLetterTopic(topic);
        const summary = `${service} publishes a record that it failed to handle.`;
        return [
          `${service}.dead-letters.${letters}`,
          operation('send', letters, ['dead-letter'], { summary }),
        ];
      }),
    ),
  );
}

/** One operation for each consumer and topic that it reads. */
function readOperations(consumers: readonly AnyConsumer[]): Record<string, Schema> {
  return Object.fromEntries(
    consumers.flatMap(({ name, topics, types }) =>
      topics.flatMap((topic) => {
        const handled = types.filter((type: string) => isEventType(type) && TOPICS[type].includes(topic));
        const group = {
          kafka: { groupId: { type: 'string', const: name }, bindingVersion: BINDING_VERSION },
        };
        const rest = { summary: `${name} handles these events.`, bindings: group };
        return handled.length > 0
          ? [[`${name}.reads.${topic}`, operation('receive', topic, handled, rest)]]
          : [];
      }),
    ),
  );
}

function serviceOf(consumer: string): string {
  return consumer.split('.')[0] as string;
}

/** The event documents in docs/: they are up to date and complete, and the published records match them. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { before, describe, test } from 'node:test';
import { z } from 'zod';
import { allConsumers, ORIGINS } from '../../cmd/event-docs/catalogue.ts';
import { type AsyncApiDocument, asyncApiDocument } from '../../cmd/event-docs/document.ts';
import { eventsPage } from '../../cmd/event-docs/markdown.ts';
import { type Schema, sampleEvent } from '../../cmd/event-docs/samples.ts';
import { announce } from '../../internal/domain/announce.ts';
import { type Event, type EventType, PAYLOADS, parseEvent } from '../../internal/domain/events.ts';
import type { Milestone } from '../../internal/domain/order.ts';
import { evolve, type OrderEvent } from '../../internal/domain/order-decisions.ts';
import { toRecord } from '../../internal/domain/records.ts';
import { ALL_TOPICS, DEAD_LETTER_TOPICS, TOPICS, typesOn } from '../../internal/domain/topics.ts';
import { readValidatedOrder } from '../../internal/service/orders/place-validated.ts';
import type { AnyConsumer } from '../../internal/service/stream/consumer.ts';
import { CONTENTS, createdEvent, JOURNEYS, type Kind, placedOrder } from '../support/builders.ts';
import { NOON } from '../support/manual-clock.ts';

const TYPES = Object.keys(PAYLOADS) as EventType[];
let consumers: AnyConsumer[];
let document: AsyncApiDocument;

before(async () => {
  consumers = await allConsumers();
  document = JSON.parse(JSON.stringify(asyncApiDocument(consumers)));
});
const docs = (name: string) => readFile(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

/** The value that a reference points to, or undefined for a broken reference. */
function target(ref: string): Schema | undefined {
  let found: unknown = document;
  for (const step of ref.replace(/^#\//, '').split('/')) found = (found as Schema | undefined)?.[step];
  return found as Schema | undefined;
}

/** The value with every reference replaced by its target. */
function resolved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(resolved);
  if (typeof value !== 'object' || value === null) return value;
  if ('$ref' in value) return resolved(target(String(value.$ref)));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolved(inner)]));
}

function referencesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === '$ref' ? [String(inner)] : referencesIn(inner),
  );
}

function payloadOn(topic: string, type: string): z.ZodType {
  const message = resolved(document.channels[topic]?.messages[type]) as { payload: Schema };
  return z.fromJSONSchema(message.payload as Parameters<typeof z.fromJSONSchema>[0]);
}

describe('the event documents', () => {
  test('the files in docs/ equal the current output of `npm run asyncapi`', async () => {
    assert.deepEqual(JSON.parse(await docs('asyncapi.json')), document, 'run: npm run asyncapi');
    assert.equal(await docs('events.md'), eventsPage(consumers), 'run: npm run asyncapi');
  });
});

describe('the AsyncAPI document', () => {
  test('every reference has a target', () => {
    const references = referencesIn(document);
    assert.ok(references.length > 200);
    assert.deepEqual(
      references.filter((ref) => target(ref) === undefined),
      [],
    );
  });

  test('the document has a channel for every topic, with a message for every event type on it', () => {
    assert.deepEqual(Object.keys(document.channels), ALL_TOPICS);
    for (const topic of ALL_TOPICS) {
      const messages = Object.keys(document.channels[topic]?.messages ?? {});
      const letters = (DEAD_LETTER_TOPICS as readonly string[]).includes(topic) ? ['dead-letter'] : [];
      assert.deepEqual(messages, [...typesOn(topic), ...letters]);
    }
  });

  test('the document has a message and a payload for every event type', () => {
    for (const type of TYPES) {
      assert.ok(document.components.messages[type], type);
      assert.ok(document.components.schemas[type], type);
    }
  });

  test('a dead-letter message names its headers', () => {
    for (const topic of DEAD_LETTER_TOPICS) {
      const letter = resolved(document.channels[topic]?.messages['dead-letter']) as { headers: Schema };
      for (const header of ['x-retry-count', 'x-original-topic', 'x-error'])
        assert.ok(header in (letter.headers.properties as Schema), header);
    }
  });

  test('the messages of every operation belong to its channel', () => {
    for (const [name, { channel, messages }] of Object.entries(document.operations)) {
      const { $ref } = channel as { $ref: string };
      for (const message of messages as { $ref: string }[])
        assert.ok(message.$ref.startsWith(`${$ref}/messages/`) && target(message.$ref), name);
    }
  });

  test('every event type is sent by a service, except order.validated', () => {
    const sent = Object.values(document.operations)
      .filter(({ action }) => action === 'send')
      .flatMap((operation) => referencesIn(operation.messages))
      .map((ref) => ref.split('/').at(-1));
    const outside = TYPES.filter((type) => !sent.includes(type));
    assert.deepEqual(outside, ['order.validated']);
  });

  test('every consumer has an operation with its group id on each topic that it reads', () => {
    assert.ok(consumers.length >= 10);
    for (const { name, topics, types } of consumers) {
      for (const topic of topics) {
        const wanted = typesOn(topic).filter((type) => types.includes(type));
        if (wanted.length === 0) continue;
        const operation = document.operations[`${name}.reads.${topic}`] ?? {};
        assert.equal(JSON.stringify(operation.bindings).includes(`"const":"${name}"`), true, name);
        assert.equal(referencesIn(operation).length, wanted.length + 1);
      }
    }
  });
});

describe('the published records', () => {
  /** The events of complete orders of every kind, and of every final status. */
  const ordersEvents: Event[] = Object.entries(CONTENTS).flatMap(([kind, content]) => {
    let order = placedOrder({ content: { ...content, customerId: 'c1' } });
    const events: Event[] = [createdEvent(order)];
    const happens = (change: OrderEvent) => {
      const after = evolve(order, change);
      events.push(announce(change, after, `e-${events.length}`, { producer: 'test' }));
      return after;
    };
    happens({ type: 'rescheduled', at: NOON, scheduledAt: NOON, dueAt: NOON });
    happens({ type: 'failed', at: NOON, reason: 'OUT_OF_STOCK' });
    happens({ type: 'rejected', at: NOON, reason: 'NO_RESPONSE' });
    happens({ type: 'cancelled', at: NOON });
    happens({ type: 'noted', at: NOON, fact: 'PREPARING' });
    for (const to of JOURNEYS[kind as Kind].slice(1) as Exclude<Milestone, 'CREATED'>[])
      order = happens({ type: 'advanced', at: NOON, to });
    return events;
  });
  const others = TYPES.filter((type) => type !== 'order.validated').flatMap((type) => [
    sampleEvent(type),
    sampleEvent(type, false),
  ]);

  test('every record matches its schema in the document on every topic', () => {
    for (const event of [...ordersEvents, ...others]) {
      for (const topic of TOPICS[event.eventType]) {
        const record = JSON.parse(JSON.stringify(toRecord(event, topic)));
        const read = payloadOn(topic, event.eventType).safeParse(record);
        assert.ok(
          read.success,
          `${event.eventType} on ${topic}: ${read.error && z.prettifyError(read.error)}`,
        );
      }
    }
  });

  test('no record has a field that the document does not name', () => {
    for (const event of [...ordersEvents, ...others]) {
      for (const topic of TOPICS[event.eventType]) {
        const message = resolved(document.channels[topic]?.messages[event.eventType]) as {
          payload: { allOf: { properties: Schema }[] };
        };
        const named = message.payload.allOf.flatMap(({ properties }) => Object.keys(properties));
        const fields = Object.keys(JSON.parse(JSON.stringify(toRecord(event, topic))));
        assert.deepEqual(
          fields.filter((field) => !named.includes(field)),
          [],
          `${event.eventType} on ${topic}`,
        );
      }
    }
  });

  test('a record without a required flat field does not match its schema', () => {
    const broken: [EventType, string, string][] = [
      ['order.ready', 'order.ready', 'ready_at'],
      ['order.confirmed', 'order_status_updates', 'details'],
      ['delivery.assigned', 'rider_assigned', 'riderId'],
      ['notification.sent', 'notification_sent', 'payload'],
      ['eta.updated', 'raw.delivery-events', 'eventId'],
    ];
    for (const [type, topic, field] of broken) {
      const { [field]: removed, ...rest } = JSON.parse(JSON.stringify(toRecord(sampleEvent(type), topic)));
      assert.ok(
        removed !== undefined && !payloadOn(topic, type).safeParse(rest).success,
        `${type} without ${field}`,
      );
    }
  });

  test('parseEvent reads every record as the event it was made from', () => {
    for (const event of others) assert.deepEqual(parseEvent(event), { event });
  });

  test('a validated order is accepted if it matches the schema, and refused otherwise', () => {
    const schema = payloadOn('validated_orders', 'order.validated');
    const { payload } = document.components.messages['order.validated'] as {
      payload: { examples: object[] };
    };
    const [example] = payload.examples as [{ user_id?: string; items: object[] }];
    const isAccepted = (record: unknown) =>
      'event' in
      readValidatedOrder({ topic: 'validated_orders', position: '0', record }, (name) => name, NOON);
    assert.ok(schema.safeParse(example).success && isAccepted(example));
    for (const wrong of [
      { ...example, user_id: undefined },
      { ...example, items: [] },
      { ...example, items: [{}] },
    ])
      assert.ok(!schema.safeParse(wrong).success && !isAccepted(wrong), JSON.stringify(wrong));
  });
});

test('the catalogue describes every event type', () => {
  assert.deepEqual(Object.keys(ORIGINS).sort(), [...TYPES].sort());
});

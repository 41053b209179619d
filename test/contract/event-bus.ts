/** The contract that every event bus fulfils. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { TiffinError } from '../../internal/domain/errors.ts';
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import type { Delivery } from '../../internal/service/stream/ports.ts';
import { replayLetters } from '../../internal/service/stream/replay-letters.ts';
import { until } from '../support/until.ts';
import {
  countingConsumer,
  effectsOf,
  type Member,
  type Processing,
  processing,
  type StreamAddress,
  versionsOf,
} from './stream-member.ts';
import { allApplied, dies, eventIdOf, lettersOf, listener, manyEvents, refuse } from './stream-scenarios.ts';

export interface Stream {
  readonly address: StreamAddress;
  /** Two members, one per simulated process; events that the first one's transactions append reach the stream. */
  readonly members: readonly [Member, Member];
  /** Puts a record on `raw.order-events` as an external producer would. */
  inject(record: { key: string; value: string; headers?: Record<string, string> }): Promise<void>;
  close(): Promise<void>;
}

export interface Harness {
  /** A stream that no other test uses. */
  open(): Promise<Stream>;
  readonly skip?: string | false;
  /** The most batches that a stalled consumer may hold. */
  readonly batchesInHand: number;
}

export function eventBusContract(name: string, harness: Harness): void {
  describe(`${name} fulfils the contract of an event bus`, {
    skip: harness.skip ?? false,
    concurrency: 4,
  }, () => {
    const scenario = (sentence: string, run: (stream: Stream) => Promise<void>) =>
      test(sentence, { timeout: 180_000 }, async (context) => {
        const stream = await harness.open();
        try {
          await run(stream);
        } catch (error) {
          for (const line of stream.members
            .flatMap(({ lines }) => lines)
            .filter(({ level }) => level !== 'debug')
            .slice(-10))
            context.diagnostic(inspect(line, { depth: 5 }));
          throw error;
        } finally {
          await stream.close();
        }
      });

    scenario(
      'the events of each order are applied in sequence, and no error is logged',
      async ({ members: [first, second] }) => {
        const events = manyEvents(40, 10);
        const group = randomUUID();
        await second.bus.subscribe(subscriptionOf(second.deps, countingConsumer(group, { batchSize: 64 })));
        for (let at = 0; at < events.length; at += 50) await first.bus.publish(events.slice(at, at + 50));
        await allApplied(second, group, events);
        const faults = [...first.lines, ...second.lines].filter((line) => line.level === 'error');
        assert.deepEqual(faults, []);
        await until(
          'neither bus reports a fault',
          () => first.bus.fault() === undefined && second.bus.fault() === undefined,
        );
      },
    );

    for (const moment of ['before its effects are stored', 'after its effects are stored'] as const) {
      scenario(
        `a member takes over from one that dies ${moment}, and each event takes effect once`,
        async (stream) => {
          const { address, members } = stream;
          const events = manyEvents(20, 10);
          const group = randomUUID();
          await members[0].bus.publish(events);
          await dies({ address, group, moment });
          const done = (await effectsOf(members[0].pool, group)).length;
          assert.ok(done > 0 && done < events.length, `it died in the middle, after ${done}`);
          await members[1].bus.subscribe(subscriptionOf(members[1].deps, countingConsumer(group)));
          await allApplied(members[1], group, events);
        },
      );
    }

    scenario(
      'two members of a group apply each event once between them',
      async ({ members: [first, second] }) => {
        const group = randomUUID();
        const events = manyEvents(60, 10);
        for (const { bus, deps } of [first, second]) {
          await bus.subscribe(subscriptionOf(deps, countingConsumer(group, { batchSize: 40 })));
        }
        for (let at = 0; at < events.length; at += 30) await first.bus.publish(events.slice(at, at + 30));
        await allApplied(first, group, events);
      },
    );

    scenario(
      'a member continues after the other member has left the group',
      async ({ members: [first, second] }) => {
        const group = randomUUID();
        const leave = await first.bus.subscribe(subscriptionOf(first.deps, countingConsumer(group)));
        const before = manyEvents(10, 5);
        await second.bus.publish(before);
        await allApplied(first, group, before);
        await second.bus.subscribe(subscriptionOf(second.deps, countingConsumer(group)));
        await leave();
        const after = manyEvents(10, 5);
        await second.bus.publish(after);
        await allApplied(second, group, [...before, ...after]);
      },
    );

    scenario(
      'an event id that is published twice takes effect once',
      async ({ members: [first, second] }) => {
        const group = randomUUID();
        const event = processing('twice', 1);
        const last = processing('twice', 2);
        await first.bus.publish([event]);
        await second.bus.publish([event]);
        await second.bus.publish([event, last]);
        await first.bus.subscribe(subscriptionOf(first.deps, countingConsumer(group)));
        await until('the last event took effect', async () =>
          (await effectsOf(first.pool, group)).some((effect) => effect.version === 2),
        );
        assert.deepEqual(versionsOf(await effectsOf(first.pool, group), 'twice'), [1, 2]);
      },
    );

    scenario('a new consumer group starts at the oldest record', async ({ members: [first, second] }) => {
      const early = randomUUID();
      const late = randomUUID();
      const events = manyEvents(10, 5);
      await first.bus.publish(events);
      await first.bus.subscribe(subscriptionOf(first.deps, countingConsumer(early)));
      await allApplied(first, early, events);
      await second.bus.subscribe(subscriptionOf(second.deps, countingConsumer(late)));
      await allApplied(second, late, events);
    });

    scenario(
      'an event that its consumer refuses becomes a dead letter with headers, and all other events are applied',
      async ({ members: [first] }) => {
        const group = randomUUID();
        const events = manyEvents(10, 3);
        const poison = events.find((event) => event.payload.version === 3);
        assert.ok(poison);
        const announced: Delivery[] = [];
        await first.bus.subscribe(listener(first, 'dlq.order-events', announced));
        const consumer = countingConsumer(group, { before: refuse(poison) });
        await first.bus.subscribe(subscriptionOf(first.deps, consumer));
        await first.bus.publish(events);
        await allApplied(
          first,
          group,
          events.filter((event) => event !== poison),
        );
        await until('the dead letter is published', () => announced.length > 0);
        assert.deepEqual(
          announced.map(({ topic, key, record }) => ({ topic, key, record })),
          [{ topic: 'dlq.order-events', key: poison.orderId, record: poison }],
        );
        const headers = announced[0]?.headers ?? {};
        assert.equal(headers['x-original-topic'], 'raw.order-events');
        assert.equal(headers['x-retry-count'], '3');
        assert.match(headers['x-error'] ?? '', /cannot stomach/);
        assert.equal(headers['x-consumer'], group);
        const [letter, ...others] = await first.deps.deadLetters.list({ limit: 10 });
        assert.equal(letter?.eventId, poison.eventId);
        assert.deepEqual(others, []);
      },
    );

    scenario(
      'the dead letter of a consumer of three topics names the topic that the event came from',
      async ({ members: [first] }) => {
        const group = randomUUID();
        const event = processing('order', 1);
        const announced: Delivery[] = [];
        await first.bus.subscribe(listener(first, 'dlq.order-events', announced));
        const topics = ['raw.inventory-events', 'raw.payment-events', 'raw.order-events'];
        const consumer = countingConsumer(group, { topics, before: refuse(event) });
        await first.bus.subscribe(subscriptionOf(first.deps, consumer));
        await first.bus.publish([event]);
        await until('the dead letter is published', () => announced.length > 0);
        assert.equal(announced[0]?.headers?.['x-original-topic'], 'raw.order-events');
        const [letter] = await first.deps.deadLetters.list({ limit: 10 });
        assert.equal(letter?.topic, 'raw.order-events');
      },
    );

    for (const way of ['replayed', 'discarded'] as const) {
      scenario(
        `events of an order are parked behind its dead letter, and applied in sequence once it is ${way}`,
        async ({ members: [first] }) => {
          const group = randomUUID();
          const [one, poison, three, four, five] = [1, 2, 3, 4, 5].map((version) =>
            processing('held', version),
          ) as [Processing, Processing, Processing, Processing, Processing];
          const others = manyEvents(5, 4);
          let refusing = true;
          const consumer = countingConsumer(group, {
            before: (events) => refusing && refuse(poison)(events),
          });
          await first.bus.subscribe(subscriptionOf(first.deps, consumer));
          await first.bus.publish([one, poison, three, ...others]);
          const parked = async (count: number) => (await lettersOf(first, 'held')) === count;
          await until('one later event is parked', () => parked(2));
          await first.bus.publish([four]);
          await until('another later event is parked', () => parked(3));
          await allApplied(first, group, [one, ...others]);

          const [letter] = await first.deps.deadLetters.list({ limit: 1 });
          assert.ok(letter);
          assert.equal(
            await replayLetters(first.deps, consumer),
            0,
            'no letter is replayed before a replay is requested',
          );
          if (way === 'replayed') {
            await first.deps.deadLetters.requestReplay(letter.id);
            assert.equal(await replayLetters(first.deps, consumer), 0, 'a letter that still fails stays');
            assert.ok(await parked(3));
            refusing = false;
            await first.deps.deadLetters.requestReplay(letter.id);
          } else {
            await first.deps.deadLetters.discard(letter.id);
          }
          await until('the letters are handled', async () => {
            await replayLetters(first.deps, consumer);
            return parked(0);
          });
          await first.bus.publish([five]);
          const flowed = way === 'replayed' ? [one, poison, three, four, five] : [one, three, four, five];
          await allApplied(first, group, [...flowed, ...others]);
        },
      );
    }

    scenario(
      'a temporary fault pauses the consumer, loses no event and creates no dead letter',
      async ({ members: [first] }) => {
        const group = randomUUID();
        const events = manyEvents(10, 5);
        let away = true;
        let attempts = 0;
        const consumer = countingConsumer(group, {
          before() {
            attempts += 1;
            if (away) throw new TiffinError('UNAVAILABLE', 'the dependency is away');
          },
        });
        await first.bus.subscribe(subscriptionOf(first.deps, consumer));
        await first.bus.publish(events);
        await until('the consumer has retried', () => attempts > 3);
        assert.match(first.bus.fault() ?? '', /the dependency is away/);
        assert.deepEqual(await effectsOf(first.pool, group), []);
        away = false;
        await allApplied(first, group, events);
        await until('the bus reports no fault', () => first.bus.fault() === undefined);
        assert.deepEqual(await first.deps.deadLetters.list({ limit: 10 }), []);
      },
    );

    scenario(
      'a stalled handler stops its consumer from reading, and reading continues once it returns',
      async ({ members: [first] }) => {
        const events = manyEvents(300, 10);
        const batchSize = 25;
        const taken: Delivery[] = [];
        const others: Delivery[] = [];
        let release: () => void = () => {};
        const stalled = new Promise<void>((resolve) => {
          release = resolve;
        });
        await first.bus.subscribe({ ...listener(first, 'raw.order-events', taken, stalled), batchSize });
        await first.bus.publish(events);
        await until('the stalled handler holds a batch', () => taken.length > 0);
        await first.bus.subscribe(listener(first, 'raw.order-events', others));
        await until('another group has read all', () => others.length >= events.length);
        assert.ok(taken.length <= batchSize * harness.batchesInHand, `${taken.length} in hand`);
        release();
        await until('it has read all', () => new Set(taken.map(eventIdOf)).size === events.length);
      },
    );

    scenario(
      'whatever a consumer throws at a record, at reading or handling it, is the fault of that record alone',
      async (stream) => {
        const [first] = stream.members;
        const group = randomUUID();
        const odd = processing('odd', 1);
        const consumer = {
          ...countingConsumer(group, {
            before(events) {
              // No error, and no text can be made of it.
              if (events.some(({ eventId }) => eventId === odd.eventId)) throw Object.create(null);
            },
          }),
          read({ record }: Delivery) {
            // Throws a TypeError for an object that has no primitive value.
            if (String((record as { eventType?: unknown } | null)?.eventType) !== 'order.processing')
              return undefined;
            return { event: record as Processing };
          },
        };
        await first.bus.subscribe(subscriptionOf(first.deps, consumer));
        await stream.inject({ key: 'healthy', value: '{"eventType": {"toString": 1}, "orderId": "ghost"}' });
        await first.bus.publish([odd, processing('healthy', 1)]);
        await allApplied(first, group, [processing('healthy', 1)]);
        const faults = async () =>
          (await first.deps.deadLetters.list({ limit: 9 })).map(({ error }) => error);
        await until('both dead letters are there', async () => (await faults()).length === 2);
        assert.deepEqual((await faults()).toSorted(), [
          'an object was thrown',
          'the record cannot be read: TypeError: Cannot convert object to primitive value',
        ]);
        await until('the bus reports no fault', () => first.bus.fault() === undefined);
        assert.deepEqual(
          first.lines.filter(({ level }) => level === 'error'),
          [],
        );
      },
    );

    scenario('the dead letter of a large binary record reaches its topic, cut if need be', async (stream) => {
      const [first] = stream.members;
      const announced: Delivery[] = [];
      await first.bus.subscribe(listener(first, 'dlq.order-events', announced));
      await first.bus.subscribe(subscriptionOf(first.deps, countingConsumer(randomUUID())));
      // 5.4 MB as JSON.
      const value = '\u0001'.repeat(900_000);
      await stream.inject({ key: 'large', value });
      await until('the dead letter is published', () => announced.length > 0);
      assert.equal(announced[0]?.headers?.['x-original-topic'], 'raw.order-events');
      assert.ok(
        String(announced[0]?.record).includes('\u0001') || String(announced[0]?.record).includes('\\u0001'),
      );
      const [letter] = await first.deps.deadLetters.list({ limit: 10 });
      assert.equal(letter?.record, value, 'the whole is in the table');
    });

    scenario('unreadable records become dead letters and do not block later records', async (stream) => {
      const [first] = stream.members;
      const group = randomUUID();
      await first.bus.subscribe(subscriptionOf(first.deps, countingConsumer(group)));
      await first.bus.publish([processing('readable', 1)]);
      await stream.inject({ key: 'readable', value: '{"not": "json' });
      await stream.inject({ key: 'odd', value: '{"an": "object"}' });
      await stream.inject({ key: 'odd', value: 'null' });
      await stream.inject({ key: '\0'.repeat(80), value: '"\\u0000 and \\ud800"' });
      await stream.inject({ key: 'odd', value: JSON.stringify({ ...processing('a\0b', 1) }) });
      await stream.inject({
        key: 'odd',
        value: JSON.stringify({ ...processing('odd', 1), payload: { status: 'LOST' } }),
      });
      const unknown = JSON.stringify({ ...processing('odd', 1), eventType: 'order.exploded' });
      await stream.inject({ key: 'odd', value: unknown });
      await stream.inject({ key: 'odd', value: unknown, headers: { eventType: 'order.exploded' } });
      await first.bus.publish([processing('healthy', 1)]);
      await until(
        'the dead letters are there',
        async () => (await first.deps.deadLetters.list({ limit: 20 })).length >= 6,
      );
      await until(
        'the valid event took effect',
        async () => versionsOf(await effectsOf(first.pool, group), 'healthy').length === 1,
      );
      const letters = await first.deps.deadLetters.list({ limit: 20 });
      assert.equal(letters.length, 6);
      assert.ok(letters.some((letter) => letter.record === '{"not": "json'));
      // Another group reads the same records in other batches and adds no second dead letter for them.
      const again = randomUUID();
      await stream.members[1].bus.subscribe(subscriptionOf(stream.members[1].deps, countingConsumer(again)));
      await until(
        'another group is past them',
        async () => versionsOf(await effectsOf(first.pool, again), 'healthy').length === 1,
      );
    });
  });
}

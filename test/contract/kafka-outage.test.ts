/** The Kafka bus during and after a broker outage. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type KafkaBroker, startKafka } from '../../cmd/kafka/broker.ts';
import { TiffinError } from '../../internal/domain/errors.ts';
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import type { Delivery } from '../../internal/service/stream/ports.ts';
import { kafkaForTests } from '../support/kafka.ts';
import { until } from '../support/until.ts';
import { lonelyBus, openKafkaStream as open } from './kafka-stream.ts';
import { countingConsumer, effectsOf, processing } from './stream-member.ts';

const shared = await kafkaForTests();
const skip = 'skip' in shared ? shared.skip : false;

describe('the Kafka bus when its broker dies', { skip }, () => {
  let dir: string;
  let broker: KafkaBroker;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tiffin-kafka-mortal-'));
    broker = await startKafka({ dir });
  });
  after(async () => {
    await broker?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  test('the Kafka bus applies each confirmed event once across an outage, and reports a fault until the broker is back', {
    timeout: 180_000,
  }, async () => {
    const stream = await open(broker.brokers);
    try {
      const [first, second] = stream.members;
      const group = randomUUID();
      for (const { bus, deps } of stream.members)
        await bus.subscribe(subscriptionOf(deps, countingConsumer(group, { batchSize: 20 })));
      const confirmed: string[] = [];
      let publishing = true;
      const publisher = (async () => {
        for (let version = 1; publishing; version += 1) {
          const events = Array.from({ length: 10 }, (_, order) => processing(`order-${order}`, version));
          while (!(await first.bus.publish(events).then(() => true, isUnavailable)))
            await until('a moment', () => true);
          confirmed.push(...events.map((event) => `${event.orderId} ${event.payload.version}`));
        }
      })();
      await until('it flows', async () => (await effectsOf(first.pool, group)).length > 100);
      broker.kill();
      await until('both say so', () => first.bus.fault() !== undefined && second.bus.fault() !== undefined);
      await broker.restart();
      const before = confirmed.length;
      await until('it flows again', () => confirmed.length > before + 100);
      publishing = false;
      await publisher;
      await until(
        'all took effect',
        async () => (await effectsOf(first.pool, group)).length >= confirmed.length,
      );
      const effects = (await effectsOf(first.pool, group)).map(
        (effect) => `${effect.orderId} ${effect.version}`,
      );
      assert.deepEqual(effects.sort(), confirmed.sort());
      await until('both are well', () => first.bus.fault() === undefined && second.bus.fault() === undefined);
      const errors = [...first.lines, ...second.lines].filter((line) => line.level === 'error');
      assert.deepEqual(errors, []);
      assert.ok(first.lines.filter((line) => line.level === 'warn').length < 200, 'the log is not flooded');
      assert.deepEqual(await first.deps.deadLetters.list({ limit: 1 }), []);
    } finally {
      await stream.close();
    }
  });

  test('the Kafka bus refuses to publish with UNAVAILABLE during an outage, publishes after it, and closes in time without a broker', {
    timeout: 180_000,
  }, async () => {
    const { bus } = lonelyBus(broker.brokers);
    await bus.publish([processing('order', 1)]);
    broker.kill();
    const started = performance.now();
    await assert.rejects(
      bus.publish([processing('order', 2)]),
      (error) => error instanceof TiffinError && error.code === 'UNAVAILABLE',
    );
    assert.ok(performance.now() - started < 20_000);

    // A bus that starts during the outage recovers and closes in time too.
    const early = lonelyBus(broker.brokers);
    const heard: Delivery[] = [];
    await early.bus.subscribe({
      group: randomUUID(),
      topics: ['order.ready'],
      types: ['order.processing'],
      handle: async ({ deliveries }) => {
        heard.push(...deliveries);
      },
    });
    assert.match(early.bus.fault() ?? '', /has not joined|Kafka/);
    await assert.rejects(early.bus.publish([processing('order', 1)]), /Kafka/);

    await broker.restart();
    await bus.publish([processing('order', 3)]);
    await until('the early one is well', () => early.bus.fault() === undefined);
    await early.bus.send([
      { topic: 'order.ready', key: 'order', value: processing('order', 4), headers: {} },
    ]);
    await until('the early one reads', () => heard.length === 1);

    broker.kill();
    const closing = performance.now();
    await Promise.all([bus.close(), early.bus.close()]);
    assert.ok(performance.now() - closing < 20_000, `closed after ${performance.now() - closing} ms`);
    await broker.restart();
  });
});

function isUnavailable(error: unknown): false {
  assert.ok(error instanceof TiffinError && error.code === 'UNAVAILABLE', String(error));
  return false;
}

/** What readers of a broker rely on: Kafka and the broker of the simulator do the same. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import type { Delivery, EventBus, OutgoingRecord, RecordSink } from '../../internal/service/stream/ports.ts';
import { scheduler } from '../simulation/scheduler.ts';
import { brokerStream } from '../simulation/streams.ts';
import { kafkaForTests } from '../support/kafka.ts';
import { until } from '../support/until.ts';
import { lonelyBus } from './kafka-stream.ts';
import { UNUSED_TOPICS } from './stream-member.ts';
import { between, within } from './worlds.ts';

const TOPIC = 'raw.order-events';
const TYPE = 'order.processing';
const GROUP = { topics: [TOPIC], types: [TYPE] };

interface Brokers {
  /** The broker as two processes see it. */
  readonly members: readonly [Member, Member];
  until(what: string, isSo: () => boolean): Promise<unknown>;
}
type Member = Pick<EventBus, 'subscribe'> & RecordSink;

const kafka = await kafkaForTests();

async function onKafka(test: (brokers: Brokers) => Promise<void>): Promise<void> {
  const at = 'brokers' in kafka ? kafka.brokers : '';
  const options = { partitions: 2, disabledTopics: UNUSED_TOPICS };
  const here = lonelyBus(at, undefined, options);
  const there = lonelyBus(at, here.topicPrefix, options);
  try {
    await test({ members: [here.bus, there.bus], until });
  } finally {
    await Promise.all([here.bus.close(), there.bus.close()]);
  }
}

let seed = 0;
function inSimulation(test: (brokers: Brokers) => Promise<void>): Promise<void> {
  seed += 1;
  const simulation = scheduler(seed, { at: new Map() });
  const [here, there] = [simulation.process('here'), simulation.process('there')];
  const { bus, send } = brokerStream(simulation);
  const elsewhere = between(simulation, here, there);
  const second: Member = {
    async subscribe(subscription) {
      return elsewhere(await elsewhere(bus.subscribe)(subscription));
    },
    send: elsewhere(send),
  };
  return within(simulation, here, () =>
    test({
      members: [{ subscribe: bus.subscribe, send }, second],
      async until(what, isSo) {
        for (let turns = 0; !isSo(); turns += 1) {
          assert.ok(turns < 1_000, what);
          await simulation.sleep(100);
        }
      },
    }),
  );
}

/** Records of a key, with the numbers from `from` to `to` as their values. */
function numbered(
  key: string,
  from: number,
  to: number,
  headers: Record<string, string> = { eventType: TYPE },
) {
  return Array.from(
    { length: to - from + 1 },
    (_, at): OutgoingRecord => ({ topic: TOPIC, key, value: { number: from + at }, headers }),
  );
}

const numbersOf = (heard: readonly Delivery[], key: string) =>
  heard.filter((one) => one.key === key).map(({ record }) => (record as { number: number }).number);
/** As they were first heard; the same records may come again. */
const firstOf = (numbers: readonly number[]) => [...new Set(numbers)];
const upTo = (last: number) => Array.from({ length: last }, (_, at) => at + 1);

for (const [name, world, skip] of [
  ['Kafka', onKafka, 'skip' in kafka && kafka.skip],
  ['the broker of the simulator', inSimulation, false],
] as const)
  describe(`${name} fulfils the contract of a broker`, { skip, concurrency: 3 }, () => {
    const scenario = (sentence: string, run: (brokers: Brokers) => Promise<void>) =>
      it(sentence, { timeout: 180_000 }, () => world(run));

    scenario(
      'each group hears every record from the oldest on, in sequence for each key',
      async (brokers) => {
        const [first, second] = brokers.members;
        const [early, late]: [Delivery[], Delivery[]] = [[], []];
        await first.send([...numbered('a', 1, 5), ...numbered('b', 1, 5)]);
        await first.subscribe({
          ...GROUP,
          group: randomUUID(),
          handle: async (b) => void early.push(...b.deliveries),
        });
        await second.send([...numbered('a', 6, 9), ...numbered('b', 6, 9)]);
        await second.subscribe({
          ...GROUP,
          group: randomUUID(),
          handle: async (b) => void late.push(...b.deliveries),
        });
        await brokers.until('both to have heard all', () => early.length >= 18 && late.length >= 18);
        for (const heard of [early, late])
          for (const key of ['a', 'b']) assert.deepEqual(numbersOf(heard, key), upTo(9));
        const positions = (heard: readonly Delivery[]) =>
          new Map(heard.map(({ key, record, position }) => [`${key} ${JSON.stringify(record)}`, position]));
        assert.deepEqual(positions(early), positions(late), 'a record has one position');
        assert.equal(new Set(positions(early).values()).size, 18, 'a position is of one record');
        const { topic, record, headers } = early.find(({ key }) => key === 'a') as Delivery;
        assert.deepEqual(
          { topic, record, headers },
          { topic: TOPIC, record: { number: 1 }, headers: { eventType: TYPE } },
        );
      },
    );

    scenario(
      'records of other types are passed over, and those without a type are heard',
      async (brokers) => {
        const [first] = brokers.members;
        const heard: Delivery[] = [];
        await first.send([
          ...numbered('a', 1, 30, { eventType: 'order.noted' }),
          ...numbered('a', 31, 31, {}),
          ...numbered('a', 32, 32),
        ]);
        await first.subscribe({
          ...GROUP,
          group: randomUUID(),
          batchSize: 3,
          handle: async ({ deliveries }) => void heard.push(...deliveries),
        });
        await brokers.until('both to be heard', () => heard.length >= 2);
        assert.deepEqual(numbersOf(heard, 'a'), [31, 32]);
      },
    );

    scenario(
      'a batch is no larger than was asked for, and one that is refused comes again before what follows',
      async (brokers) => {
        const [first] = brokers.members;
        const heard: Delivery[] = [];
        const sizes: number[] = [];
        let refusals = 0;
        await first.send(numbered('a', 1, 10));
        await first.subscribe({
          ...GROUP,
          group: randomUUID(),
          batchSize: 4,
          async handle({ deliveries }) {
            sizes.push(deliveries.length);
            const numbers = numbersOf(deliveries, 'a');
            if (numbers.includes(6) && refusals < 2) {
              refusals += 1;
              throw new Error('not now');
            }
            heard.push(...deliveries);
          },
        });
        await brokers.until('all to be heard', () => heard.length >= 10);
        assert.deepEqual(numbersOf(heard, 'a'), upTo(10));
        assert.ok(Math.max(...sizes) <= 4, `${sizes}`);
        assert.equal(refusals, 2);
      },
    );

    scenario('what one member refused and left, the other member of its group is given', async (brokers) => {
      const [first, second] = brokers.members;
      const group = randomUUID();
      const heard: Delivery[] = [];
      const done: Delivery[] = [];
      await first.send(numbered('a', 1, 6));
      const leave = await first.subscribe({
        ...GROUP,
        group,
        batchSize: 2,
        async handle({ deliveries }) {
          if (numbersOf(deliveries, 'a').some((number) => number > 2)) throw new Error('not by this one');
          done.push(...deliveries);
        },
      });
      await brokers.until('the first records to be handled', () => done.length >= 2);
      await leave();
      await first.send(numbered('a', 7, 8));
      await second.subscribe({
        ...GROUP,
        group,
        handle: async ({ deliveries }) => void heard.push(...deliveries),
      });
      await brokers.until('the rest to be heard', () => numbersOf(heard, 'a').includes(8));
      assert.deepEqual(numbersOf(done, 'a'), [1, 2]);
      assert.deepEqual(numbersOf(heard, 'a'), [3, 4, 5, 6, 7, 8], 'and what was handled does not come again');
    });

    scenario(
      'two members of a group hear everything between them, and a key in sequence',
      async (brokers) => {
        const [first, second] = brokers.members;
        const group = randomUUID();
        const heard: Delivery[] = [];
        const handle = async ({ deliveries }: { deliveries: readonly Delivery[] }) =>
          void heard.push(...deliveries);
        const keys = ['a', 'b', 'c', 'd'];
        const leave = await first.subscribe({ ...GROUP, group, batchSize: 3, handle });
        await first.send(keys.flatMap((key) => numbered(key, 1, 10)));
        await second.subscribe({ ...GROUP, group, batchSize: 3, handle });
        await second.send(keys.flatMap((key) => numbered(key, 11, 20)));
        await brokers.until('some to be heard', () => heard.length > 20);
        await leave();
        await second.send(keys.flatMap((key) => numbered(key, 21, 30)));
        const isWhole = () => keys.every((key) => firstOf(numbersOf(heard, key)).length === 30);
        await brokers.until('all to be heard', isWhole);
        for (const key of keys) assert.deepEqual(firstOf(numbersOf(heard, key)), upTo(30));
      },
    );
  });

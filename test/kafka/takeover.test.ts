/** What a consumer and a producer do when a member, a broker or a connection dies or falls silent, and how soon work goes on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../cmd/java/jvm.ts';
import { type KafkaBroker, startKafka } from '../../cmd/kafka/broker.ts';
import { busBySettings, lonelyBus } from '../contract/kafka-stream.ts';
import { whyNoKafka } from '../support/kafka.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';
import { gate } from '../support/turns.ts';
import { until } from '../support/until.ts';

const skip = (await whyNoKafka()) ?? false;
const MEMBER = fileURLToPath(new URL('member.ts', import.meta.url));
/** Bound of each recovery; docs/operations.md has what was measured. */
const LIMIT_MS = 15_000;
/** Longer than anything waits for an answer. */
const SILENT_MS = 12_000;

describe('Kafka when something dies or falls silent', { skip, timeout: 300_000 }, () => {
  let dir: string;
  let broker: KafkaBroker;
  let proxy: ServerProxy;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tiffin-kafka-takeover-'));
    const port = await freePort();
    proxy = await proxyTo(`kafka://127.0.0.1:${port}`);
    const advertisedPort = Number(new URL(proxy.url).port);
    broker = await startKafka({
      dir,
      listeners: { PROXIED: { protocol: 'PLAINTEXT', port, advertisedPort } },
      properties: { 'group.min.session.timeout.ms': 2_500 },
    });
  });
  after(async () => {
    await proxy?.close();
    await broker?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  /** A bus whose one consumer reads order.ready; `heard` has the keys. */
  async function reader(brokers: string, stream = lonelyBus(brokers, undefined, { partitions: 6 })) {
    const group = randomUUID();
    const heard = new Set<string>();
    await stream.bus.subscribe({
      group,
      topics: ['order.ready'],
      types: [],
      async handle({ deliveries }) {
        for (const { key } of deliveries) heard.add(key);
      },
    });
    let sent = 0;
    return {
      ...stream,
      group,
      heard,
      /** Sends records with new keys, again until the broker takes them, and waits until all are heard. */
      async passes(count: number, isHeard: (key: string) => boolean = (key) => heard.has(key)) {
        const keys = Array.from({ length: count }, () => `key-${++sent}`);
        const records = keys.map((key) => ({ topic: 'order.ready', key, value: 1, headers: {} }));
        await until('the records to be taken', () =>
          stream.bus.send(records).then(
            () => true,
            () => false,
          ),
        );
        await until('the records to be read', () => keys.every(isHeard));
      },
    };
  }

  async function within(t: TestContext, what: string, since: number): Promise<void> {
    const ms = Math.round(performance.now() - since);
    t.diagnostic(`${what}: ${ms} ms`);
    assert.ok(ms < LIMIT_MS, `${what} after ${ms} ms`);
  }

  it('the partitions of a killed member are read by another soon', async (t) => {
    const { bus, group, heard, topicPrefix, passes } = await reader(broker.brokers);
    const args = ['--import', import.meta.resolve('tsx'), MEMBER, broker.brokers, topicPrefix, group];
    const member = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const heardThere = new Set<string>();
    createInterface({ input: member.stdout }).on('line', (key) => heardThere.add(key));
    try {
      await until('both to read', async () => {
        await passes(24, (key) => heard.has(key) || heardThere.has(key));
        return heardThere.size > 0;
      });
      member.kill('SIGKILL');
      await once(member, 'exit');
      const since = performance.now();
      await passes(24);
      await within(t, 'a killed member', since);
    } finally {
      member.kill('SIGKILL');
      await bus.close();
    }
  });

  it('work goes on soon after a broker that was killed is back', async (t) => {
    const { bus, passes } = await reader(broker.brokers);
    try {
      await passes(1);
      broker.kill();
      await until('the fault', () => bus.fault() !== undefined);
      await broker.restart();
      const since = performance.now();
      await passes(12);
      await within(t, 'a broker that was killed', since);
      await until('it to be well', () => bus.fault() === undefined);
    } finally {
      await bus.close();
    }
  });

  it('a broker that falls silent is a fault of consumers and of processes that only send, and work goes on with it', async (t) => {
    const { bus, passes, topicPrefix } = await reader(broker.brokers);
    const sender = lonelyBus(broker.brokers, topicPrefix);
    try {
      await passes(1);
      await until('the sender to be well', () => sender.bus.fault() === undefined);
      const stoppedAt = performance.now();
      process.kill(broker.pid, 'SIGSTOP');
      await until('both faults', () => bus.fault() !== undefined && sender.bus.fault() !== undefined);
      await within(t, 'the fault of a silent broker', stoppedAt);
      await assert.rejects(sender.bus.send([{ topic: 'order.ready', key: 'k', value: 1, headers: {} }]), {
        code: 'UNAVAILABLE',
      });
      process.kill(broker.pid, 'SIGCONT');
      const since = performance.now();
      await passes(12);
      await until('both to be well', () => bus.fault() === undefined && sender.bus.fault() === undefined);
      await within(t, 'a broker that was silent', since);
    } finally {
      process.kill(broker.pid, 'SIGCONT');
      await Promise.all([bus.close(), sender.bus.close()]);
    }
  });

  it('connections that die without a word are a fault until they are replaced, and records pass', async (t) => {
    const { bus, passes } = await reader(`127.0.0.1:${new URL(proxy.url).port}`);
    try {
      await passes(1);
      proxy.silence();
      const since = performance.now();
      const noticed = until('the fault', () => bus.fault() !== undefined).then(() =>
        within(t, 'the fault of silent connections', since),
      );
      await passes(12);
      await within(t, 'silent connections', since);
      await noticed;
      await until('it to be well', () => bus.fault() === undefined);
    } finally {
      await bus.close();
    }
  });

  describe('through a proxy', () => {
    let stream: ReturnType<typeof lonelyBus>;
    beforeEach(() => {
      stream = lonelyBus(`127.0.0.1:${new URL(proxy.url).port}`);
    });
    afterEach(() => stream.bus.close());
    const send = (key: string) => stream.bus.send([{ topic: 'order.ready', key, value: 1, headers: {} }]);

    it('a record is stored although the one connection that sends records dies with it', async () => {
      await send('before');
      proxy.holdBack(/dies with it/, SILENT_MS, 1);
      await send('dies with it');
    });

    it('a process that sends seldom is not held up by a connection that died meanwhile', async () => {
      const { bus } = stream;
      await send('before');
      proxy.silence();
      await until('the fault', () => bus.fault() !== undefined);
      await until('it to be well', () => bus.fault() === undefined);
      const faults: unknown[] = [];
      const look = setInterval(() => bus.fault() && faults.push(bus.fault()), 5);
      await send('after');
      clearInterval(look);
      assert.deepEqual(faults, []);
    });

    it('a connection that dies while a batch is in hand is a fault before the batch is done, and work goes on', async () => {
      const { bus } = stream;
      const group = randomUUID();
      const heard = new Set<string>();
      const batch = gate();
      await bus.subscribe({
        group,
        topics: ['order.ready'],
        types: [],
        async handle({ deliveries }) {
          for (const { key } of deliveries) heard.add(key);
          await batch.promise;
        },
      });
      try {
        await send('in hand');
        await until('it to be in hand', () => heard.has('in hand'));
        // Heartbeats name the group; fetches have a connection of their own.
        proxy.holdBack(new RegExp(group), SILENT_MS, 1);
        await until('the fault', () => bus.fault() !== undefined);
        batch.open();
        await send('after');
        await until('the next record', () => heard.has('after'));
        await until('it to be well', () => bus.fault() === undefined);
      } finally {
        batch.open();
      }
    });
  });

  it('brokers that permit no such short session are asked for a longer one, with one warning', async () => {
    const { bus, passes, lines } = await reader(
      broker.brokers,
      busBySettings(broker.brokers, { KAFKA_SESSION_TIMEOUT_MS: '2000', KAFKA_PARTITIONS: '1' }),
    );
    try {
      await passes(1);
      const warnings = lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
      assert.equal(warnings.filter((message) => /KAFKA_SESSION_TIMEOUT_MS/.test(message)).length, 1);
      assert.deepEqual(
        warnings.filter((message) => /is down/.test(message)),
        [],
      );
    } finally {
      await bus.close();
    }
  });
});

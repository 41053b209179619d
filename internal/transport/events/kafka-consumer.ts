/** One member of a consumer group: reads its partitions, handles each batch, and restarts when kafkajs fails. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Consumer, EachBatchPayload } from 'kafkajs';
import { faultOf, isTransient } from '../../domain/errors.ts';
import { backoffMs } from '../../domain/retry.ts';
import { startLoop } from '../../service/loop.ts';
import type { Log, Meter } from '../../service/ports.ts';
import type { Delivery, Subscription } from '../../service/stream/ports.ts';
import type { KafkaConnection } from './kafka-connection.ts';
import { cutBatch } from './kafka-deliveries.ts';
import { asUnavailable, within } from './kafka-faults.ts';
import { leaveGroup } from './kafka-leave.ts';
import type { KafkaLog } from './kafka-log.ts';
import type { KafkaSession } from './kafka-session.ts';
import { watchConsumer } from './kafka-watch.ts';

const BATCH_SIZE = 1_000;
const PARTITIONS_AT_ONCE = 3;
/** The broker answers an idle fetch after this time; leaving a group waits for that answer. */
const FETCH_WAIT_MS = 400;
const FETCH_BYTES = 8_000_000;
const PARTITION_BYTES = 1_000_000;
const HEARTBEAT_MS = 750;
/** A member that is busy for longer is left out of a new assignment, and joins again afterwards. */
const REBALANCE_LIMIT_MS = 6_000;
const STOP_LIMIT_MS = 8_000;
/** After this time without a failure, or after a handled batch, the backoff begins anew. */
const STEADY_MS = 60_000;

const HANDLING_BACKOFF = { firstMs: 50, longestMs: 1_000 };
const BACKOFF = { firstMs: 50, longestMs: 500 };

export interface KafkaConsumerDeps {
  readonly open: () => KafkaConnection;
  /** Resolves as soon as the brokers answer. */
  readonly answers: () => Promise<void>;
  readonly ensureTopics: (topics: readonly string[]) => Promise<void>;
  readonly topicPrefix: string;
  readonly session: KafkaSession;
  readonly metadataMs: number;
  readonly log: Log;
  readonly kafkaLog: KafkaLog;
  readonly meter: Meter | undefined;
}

export interface KafkaConsumer {
  readonly subscription: Subscription;
  /** Why it handles nothing, or not one of its partitions. */
  fault(): string | undefined;
  /** Stops after the current batch, within 10 s at the latest. */
  stop(): Promise<void>;
}

export function kafkaConsumer(deps: KafkaConsumerDeps, subscription: Subscription): KafkaConsumer {
  const { log, topicPrefix } = deps;
  const { group, handle, batchSize = BATCH_SIZE } = subscription;
  const topics = subscription.topics.map((topic) => topicPrefix + topic);
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    stopping.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  /** Why the consumer reads nothing at all. */
  let down: string | undefined = 'has not joined its group yet';
  /** Why the current batch of each failing partition cannot be handled. */
  const failing = new Map<string, string>();
  let hasJoined = false;
  let inHand = 0;
  let noteActivity = () => {};
  let failures = 0;
  /** This member's id in the group, until it has left. */
  let memberId: string | undefined;

  /** Runs one kafkajs consumer: resolves on stop, rejects with the error that ended it. */
  async function runConsumer(consumer: Consumer): Promise<void> {
    const { FETCH, GROUP_JOIN } = consumer.events;
    const watch = watchConsumer(consumer, () => inHand > 0);
    noteActivity = watch.noteActivity;
    consumer.on(FETCH, () => {
      down = undefined;
    });
    consumer.on(GROUP_JOIN, ({ payload }) => {
      memberId = payload.memberId;
      if (hasJoined) deps.meter?.count('consumer_rejoins', 1, { consumer: group });
      hasJoined = true;
      if (down)
        log.info({ consumer: group, partitions: payload.memberAssignment }, 'the consumer joined its group');
    });
    const run = async () => {
      await consumer.connect();
      await consumer.subscribe({ topics, fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: PARTITIONS_AT_ONCE,
        eachBatch,
      });
      await watch.failed;
    };
    try {
      await Promise.race([run(), watch.failed, stopped]);
    } finally {
      watch.stop();
    }
  }

  /** Joins the group and consumes until the stop or an error; resolves with the pause before the next attempt, ms. */
  async function joinAndConsume(): Promise<number> {
    await Promise.race([deps.answers(), stopped]);
    if (stopping.signal.aborted) return 0;
    const startedAt = performance.now();
    const connection = deps.open();
    let consumer: Consumer | undefined;
    try {
      await Promise.race([deps.ensureTopics(topics), stopped]);
      if (memberId && (await leaveGroup(connection.kafka, topicPrefix + group, memberId)))
        memberId = undefined;
      consumer = connection.kafka.consumer({
        groupId: topicPrefix + group,
        metadataMaxAge: deps.metadataMs,
        sessionTimeout: deps.session.timeoutMs(),
        heartbeatInterval: HEARTBEAT_MS,
        rebalanceTimeout: REBALANCE_LIMIT_MS,
        maxWaitTimeInMs: FETCH_WAIT_MS,
        maxBytes: FETCH_BYTES,
        maxBytesPerPartition: PARTITION_BYTES,
        // The loop below restarts the consumer after every error, so kafkajs must not.
        retry: { restartOnFailure: async () => false },
      });
      await runConsumer(consumer);
      return 0;
    } catch (error) {
      // A request that is never answered would keep kafkajs from disconnecting.
      connection.sever();
      if (stopping.signal.aborted || deps.session.isSettledAnew(error)) return 0;
      const fault = asUnavailable(error);
      down = fault.message;
      failing.clear();
      // A consumer that joins and fails at once must not do so in a tight loop.
      failures = performance.now() - startedAt > STEADY_MS ? 1 : failures + 1;
      if (failures === 1)
        deps.kafkaLog.fault(fault, 'the consumer is down and is restarted', { consumer: group });
      return backoffMs(failures, BACKOFF);
    } finally {
      // Waits for the batch in hand.
      if (consumer) await within(STOP_LIMIT_MS, consumer.disconnect()).catch(() => {});
      connection.sever();
    }
  }

  async function eachBatch(payload: EachBatchPayload): Promise<void> {
    const {
      batch,
      heartbeat,
      isRunning,
      isStale,
      resolveOffset,
      commitOffsetsIfNecessary,
      uncommittedOffsets,
    } = payload;
    inHand += 1;
    const lost = new AbortController();
    const beat = setInterval(() => {
      heartbeat().catch((error) => lost.abort(error));
    }, HEARTBEAT_MS);
    try {
      for (const { deliveries, lastOffset } of cutBatch(batch, topicPrefix, subscription.types, batchSize)) {
        if (!isRunning() || isStale()) return;
        // Throws if the group is rebalancing: the rest of the batch is then left to the partition's next owner.
        await heartbeat();
        if (
          deliveries.length > 0 &&
          !(await handleUntilDone(deliveries, `${batch.topic}/${batch.partition}`, lost.signal))
        )
          return;
        resolveOffset(lastOffset);
        await commitOffsetsIfNecessary(uncommittedOffsets());
      }
    } finally {
      clearInterval(beat);
      inHand -= 1;
      noteActivity();
    }
  }

  /** False if the consumer stops before the batch took effect; throws if the member lost its place in the group. */
  async function handleUntilDone(
    deliveries: readonly Delivery[],
    partition: string,
    lost: AbortSignal,
  ): Promise<boolean> {
    for (let attempts = 1; !stopping.signal.aborted; attempts++) {
      try {
        await handle({ deliveries, settle: async () => {} });
        failing.delete(partition);
        failures = 0;
        return true;
      } catch (error) {
        failing.set(partition, error instanceof Error ? error.message : faultOf(error));
        if (!isTransient(error)) log.error({ consumer: group, err: error }, 'a batch failed and is retried');
        else if (attempts === 1)
          log.warn({ consumer: group, err: error }, 'a dependency is unavailable; consuming is retried');
      }
      await pause(backoffMs(attempts, HANDLING_BACKOFF), undefined, {
        signal: AbortSignal.any([stopping.signal, lost]),
      }).catch(() => {});
      if (lost.aborted) {
        failing.delete(partition);
        throw lost.reason;
      }
    }
    return false;
  }

  const loop = startLoop(`consumer ${group}`, joinAndConsume, log);
  return {
    subscription,
    fault() {
      return down ?? failing.values().next().value;
    },
    async stop() {
      stopping.abort();
      await loop.stop();
    },
  };
}

/** Sends records to Kafka one request at a time; records that arrive meanwhile share the next request. */
import { setTimeout as pause } from 'node:timers/promises';
import { type CompressionTypes, Partitioners, type Producer } from 'kafkajs';
import { TiffinError } from '../../domain/errors.ts';
import type { OutgoingRecord } from '../../service/stream/ports.ts';
import type { KafkaConnection } from './kafka-connection.ts';
import { asUnavailable, within } from './kafka-faults.ts';

/** Records that are not stored after this time are given up, and their caller may send them again. */
const LIMIT_MS = 5_000;
/** Between two attempts, each on a connection of its own. */
const AGAIN_MS = 50;
/** A fault is over after this time if nothing was sent any more. */
const FAULT_MS = 10_000;
const CLOSE_LIMIT_MS = 3_000;
const BROKER_LIMIT_MS = 2_000;
/** About 1.5 s, on the same connection: long enough for a new topic to get its leaders. */
const RETRY = { initialRetryTime: 50, maxRetryTime: 250, retries: 8 };
/** The largest record, and the size from which records share no request; below the broker's default `message.max.bytes` (1 MiB). */
export const RECORD_BYTES = 1_000_000;
/** Upper bound of a record's size without its key, value and headers. */
const OVERHEAD_BYTES = 64;

interface WireRecord {
  readonly topic: string;
  readonly message: {
    readonly key: string;
    readonly value: Buffer;
    readonly headers: Record<string, string>;
  };
  readonly bytes: number;
}

interface Job {
  readonly records: readonly WireRecord[];
  readonly resolve: () => void;
  readonly reject: (fault: TiffinError) => void;
}

export interface KafkaProducer {
  send(records: readonly OutgoingRecord[]): Promise<void>;
  /** Why the brokers did not take records when they were last sent some. */
  fault(): string | undefined;
  /** Replaces the connection, which may have died; records on their way are sent again. */
  replace(): void;
  /** Sends the queued records, then disconnects; within about 10 s even without a broker. */
  close(): Promise<void>;
}

export interface KafkaProducerOptions {
  readonly compression: CompressionTypes;
  /** Time after which partitions that were added to a topic are used. */
  readonly metadataMs: number;
  readonly maxRecordBytes?: number | undefined;
}

export function kafkaProducer(
  open: () => KafkaConnection,
  answers: () => Promise<void>,
  ready: () => Promise<void>,
  { compression, metadataMs, maxRecordBytes = RECORD_BYTES }: KafkaProducerOptions,
): KafkaProducer {
  const queue: Job[] = [];
  let live:
    | {
        readonly connection: KafkaConnection;
        readonly producer: Producer;
        readonly connected: Promise<void>;
        /** Rejects when a request is not answered: kafkajs would repeat it on the connection that died. */
        readonly silent: Promise<never>;
        readonly lose: (reason: Error) => void;
      }
    | undefined;
  let sending: Promise<void> | undefined;
  let closed = false;
  let failure: { readonly reason: string; readonly at: number } | undefined;

  function connected() {
    if (live) return live;
    const connection = open();
    const producer = connection.kafka.producer({
      idempotent: true,
      metadataMaxAge: metadataMs,
      maxInFlightRequests: 1,
      retry: RETRY,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    let lose: (reason: Error) => void = () => {};
    const silent = new Promise<never>((_, reject) => {
      lose = reject;
    });
    silent.catch(() => {});
    producer.on(producer.events.REQUEST_TIMEOUT, ({ payload }) =>
      lose(new Error(`${payload.broker} does not answer`)),
    );
    live = { connection, producer, connected: producer.connect(), silent, lose };
    live.connected.catch(() => {});
    return live;
  }

  /**
   * When a request fails, kafkajs reuses its sequence number for the next one. If the broker had stored the failed
   * request after all, it would drop the next one as a duplicate. So requests are sent one at a time, and a producer
   * that failed is never reused.
   */
  async function request(records: readonly WireRecord[]): Promise<void> {
    await answers();
    const { producer, connected: isConnected, silent } = connected();
    await Promise.race([isConnected, silent]);
    const batch = { acks: -1, compression, timeout: BROKER_LIMIT_MS, topicMessages: byTopic(records) };
    await Promise.race([producer.sendBatch(batch), silent]);
  }

  function discard(): void {
    live?.lose(new Error('the connection was given up'));
    live?.connection.sever();
    live?.producer.disconnect().catch(() => {});
    live = undefined;
  }

  /** A record may be stored twice, by an attempt whose answer was lost and by the next one. */
  async function deliver(records: readonly WireRecord[]): Promise<void> {
    const deadline = performance.now() + LIMIT_MS;
    let fault: TiffinError | undefined;
    while (performance.now() < deadline) {
      try {
        await within(Math.ceil(deadline - performance.now()), request(records));
        failure = undefined;
        return;
      } catch (error) {
        discard();
        // The time limit says less than what was met before it.
        fault = error instanceof TiffinError ? (fault ?? error) : asUnavailable(error);
        if (fault.code !== 'UNAVAILABLE') throw fault;
        failure = { reason: fault.message, at: performance.now() };
      }
      await pause(AGAIN_MS);
    }
    throw fault;
  }

  async function complete(jobs: readonly Job[]): Promise<void> {
    try {
      await within(LIMIT_MS, answers());
      // Has limits of its own: new topics take longer than records.
      await ready();
      for (const page of pages(
        jobs.flatMap((job) => job.records),
        maxRecordBytes,
      ))
        await deliver(page);
      for (const job of jobs) job.resolve();
    } catch (error) {
      const fault = asUnavailable(error);
      if (fault.code === 'UNAVAILABLE') {
        // Queued jobs are rejected as well: they would only wait for the same timeout.
        for (const job of [...jobs, ...queue.splice(0)]) job.reject(fault);
      } else if (jobs.length === 1) {
        jobs[0]?.reject(fault);
      } else {
        for (const job of jobs) await complete([job]);
      }
    }
  }

  async function sendQueued(): Promise<void> {
    while (queue.length > 0) await complete(queue.splice(0, howManyFit(queue, maxRecordBytes)));
    sending = undefined;
  }

  return {
    async send(outgoing) {
      if (outgoing.length === 0) return;
      if (closed) throw new TiffinError('UNAVAILABLE', 'the stream is closed');
      const records = outgoing.map((record) => toWire(record, maxRecordBytes));
      await new Promise<void>((resolve, reject) => {
        queue.push({ records, resolve, reject });
        sending ??= sendQueued();
      });
    },
    fault() {
      const isOver = !sending && failure && performance.now() - failure.at > FAULT_MS;
      return isOver ? undefined : failure?.reason;
    },
    replace: discard,
    async close() {
      closed = true;
      await sending;
      if (live) await within(CLOSE_LIMIT_MS, live.producer.disconnect()).catch(() => {});
      live?.connection.sever();
      live = undefined;
    },
  };
}

function toWire({ topic, key, value, headers }: OutgoingRecord, limit: number): WireRecord {
  const body = Buffer.from(JSON.stringify(value));
  let bytes = OVERHEAD_BYTES + Buffer.byteLength(key) + body.length;
  for (const [name, text] of Object.entries(headers))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(text) + 4;
  if (bytes > limit)
    throw new TiffinError(
      'INVALID_INPUT',
      `a record for ${topic} has ${bytes} bytes; at most ${limit} are sent`,
    );
  return { topic, message: { key, value: body, headers: { ...headers } }, bytes };
}

/** The number of jobs that fit into one request; at least one, even if that job needs several requests. */
function howManyFit(jobs: readonly Job[], limit: number): number {
  let bytes = 0;
  const over = jobs.findIndex(({ records }) => {
    for (const record of records) bytes += record.bytes;
    return bytes > limit;
  });
  return over < 0 ? jobs.length : Math.max(1, over);
}

function* pages(records: readonly WireRecord[], limit: number): Generator<WireRecord[]> {
  let page: WireRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    if (page.length > 0 && bytes + record.bytes > limit) {
      yield page;
      page = [];
      bytes = 0;
    }
    page.push(record);
    bytes += record.bytes;
  }
  if (page.length > 0) yield page;
}

function byTopic(records: readonly WireRecord[]): { topic: string; messages: WireRecord['message'][] }[] {
  const topics = new Map<string, WireRecord['message'][]>();
  for (const { topic, message } of records) {
    const messages = topics.get(topic);
    if (messages) messages.push(message);
    else topics.set(topic, [message]);
  }
  return [...topics].map(([topic, messages]) => ({ topic, messages }));
}

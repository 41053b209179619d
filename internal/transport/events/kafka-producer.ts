/** Sends records to Kafka one request at a time; what is handed in meanwhile goes together in the next one. */
import { Partitioners, type Producer } from 'kafkajs';
import { TiffinError } from '../../domain/errors.ts';
import type { OutgoingRecord } from '../../service/stream/ports.ts';
import { asUnavailable, type KafkaConnection, within } from './kafka-connection.ts';

/** A publish that takes longer is given up, for the caller to repeat. */
const LIMIT_MS = 9_000;
const CLOSE_LIMIT_MS = 3_000;
const BROKER_LIMIT_MS = 5_000;
/** Up to about 6 s: time for a topic to be served, or for a broker to hand over to another. */
const RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 8 };
/** Under the broker's default `message.max.bytes`, 1 MiB, which bounds what one request may bring to a partition. */
const REQUEST_BYTES = 1_000_000;
/** What a record takes besides its key, value and headers, at most. */
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
  /** Sends what was handed in, and ends; within about 10 s even with no broker. */
  close(): Promise<void>;
}

export function kafkaProducer(open: () => KafkaConnection, ready: () => Promise<void>): KafkaProducer {
  const queue: Job[] = [];
  let live: { connection: KafkaConnection; producer: Producer; connected: Promise<void> } | undefined;
  let sending: Promise<void> | undefined;
  let closed = false;

  function connected() {
    if (live) return live;
    const connection = open();
    const producer = connection.kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      retry: RETRY,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    live = { connection, producer, connected: producer.connect() };
    return live;
  }

  /**
   * kafkajs takes a sequence number back when a request fails, and gives it to the next one: had the failed one been
   * stored after all, the broker would take the next for its repetition and drop it unseen. So requests go one by one,
   * and a producer that failed is never used again.
   */
  async function request(records: readonly WireRecord[]): Promise<void> {
    await ready();
    const { producer, connected: isConnected } = connected();
    await isConnected;
    await producer.sendBatch({ acks: -1, timeout: BROKER_LIMIT_MS, topicMessages: byTopic(records) });
  }

  function discard(): void {
    live?.connection.sever();
    live?.producer.disconnect().catch(() => {});
    live = undefined;
  }

  async function complete(jobs: readonly Job[]): Promise<void> {
    try {
      for (const page of pages(jobs.flatMap((job) => job.records))) await within(LIMIT_MS, request(page));
      for (const job of jobs) job.resolve();
    } catch (error) {
      discard();
      const fault = asUnavailable(error);
      if (fault.code === 'UNAVAILABLE') {
        // Those that have queued up behind would wait as long again, to no better end.
        for (const job of [...jobs, ...queue.splice(0)]) job.reject(fault);
      } else if (jobs.length === 1) {
        jobs[0]?.reject(fault);
      } else {
        for (const job of jobs) await complete([job]);
      }
    }
  }

  async function sendQueued(): Promise<void> {
    while (queue.length > 0) await complete(queue.splice(0, howManyFit(queue)));
    sending = undefined;
  }

  return {
    async send(outgoing) {
      if (outgoing.length === 0) return;
      if (closed) throw new TiffinError('UNAVAILABLE', 'the stream is closed');
      const records = outgoing.map(toWire);
      await new Promise<void>((resolve, reject) => {
        queue.push({ records, resolve, reject });
        sending ??= sendQueued();
      });
    },
    async close() {
      closed = true;
      await sending;
      if (live) await within(CLOSE_LIMIT_MS, live.producer.disconnect()).catch(() => {});
      live?.connection.sever();
      live = undefined;
    },
  };
}

function toWire({ topic, key, value, headers }: OutgoingRecord): WireRecord {
  const body = Buffer.from(JSON.stringify(value));
  let bytes = OVERHEAD_BYTES + Buffer.byteLength(key) + body.length;
  for (const [name, text] of Object.entries(headers))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(text) + 4;
  if (bytes > REQUEST_BYTES)
    throw new TiffinError(
      'INVALID_INPUT',
      `a record of ${bytes} bytes for ${topic} is larger than a broker takes`,
    );
  return { topic, message: { key, value: body, headers: { ...headers } }, bytes };
}

/** How many jobs fit one request; at least one, which may take several. */
function howManyFit(jobs: readonly Job[]): number {
  let bytes = 0;
  const over = jobs.findIndex(({ records }) => {
    for (const record of records) bytes += record.bytes;
    return bytes > REQUEST_BYTES;
  });
  return over < 0 ? jobs.length : Math.max(1, over);
}

function* pages(records: readonly WireRecord[]): Generator<WireRecord[]> {
  let page: WireRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    if (page.length > 0 && bytes + record.bytes > REQUEST_BYTES) {
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

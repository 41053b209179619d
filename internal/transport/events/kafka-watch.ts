/** Watches a kafkajs consumer for a crash, for a connection that died without a word, and for kafkajs itself having stopped. */
import type { Consumer } from 'kafkajs';

/** A fetch that takes longer is on a connection that died; kafkajs itself would wait for 5 s more than the broker may. */
const FETCH_LIMIT_MS = 2_500;
/** kafkajs counts as hung after this time without a fetch or a heartbeat while no batch is being handled. */
const SILENCE_LIMIT_MS = 20_000;
const WATCH_MS = 250;

export interface ConsumerWatch {
  /** Rejects with the reason why the consumer has to be replaced. */
  readonly failed: Promise<never>;
  noteActivity(): void;
  stop(): void;
}

export function watchConsumer(consumer: Consumer, isBusy: () => boolean): ConsumerWatch {
  const { events } = consumer;
  /** Broker to the time of the fetch that it has not answered yet. */
  const fetching = new Map<number, number>();
  let lastActivity = performance.now();
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const noteActivity = () => {
    lastActivity = performance.now();
  };

  consumer.on(events.CRASH, ({ payload }) => fail(payload.error));
  consumer.on(events.REQUEST_TIMEOUT, ({ payload }) => fail(noAnswer(payload.broker)));
  consumer.on(events.FETCH_START, ({ payload }) => {
    fetching.set(payload.nodeId, performance.now());
  });
  consumer.on(events.FETCH, ({ payload }) => {
    fetching.delete(payload.nodeId);
    noteActivity();
  });
  consumer.on(events.HEARTBEAT, noteActivity);
  consumer.on(events.REBALANCING, () => {
    fetching.clear();
    noteActivity();
  });
  consumer.on(events.GROUP_JOIN, () => {
    fetching.clear();
    noteActivity();
  });

  const watch = setInterval(() => {
    const now = performance.now();
    for (const since of fetching.values()) if (now - since > FETCH_LIMIT_MS) fail(noAnswer('a broker'));
    if (!isBusy() && now - lastActivity > SILENCE_LIMIT_MS) fail(new Error('kafkajs hangs'));
  }, WATCH_MS);
  return {
    failed,
    noteActivity,
    stop: () => clearInterval(watch),
  };
}

function noAnswer(broker: string): Error {
  return new Error(`${broker} does not answer`);
}

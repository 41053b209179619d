/** Ends the fetchers of a consumer that has stopped, which kafkajs 2.2.4 may leave running. */
import { createRequire } from 'node:module';

/** What is used of kafkajs's `consumer/runner.js`. */
interface Runner {
  readonly running: boolean;
  fetch(nodeId: number): Promise<unknown[]>;
}

let isMended = false;

/**
 * When brokers come or go, kafkajs makes new fetchers (`consumer/fetchManager.js`), also while the consumer stops, whose stop
 * then reaches the old ones alone. The new ones ask the runner again and again, which answers "nothing" at once as long as it
 * is not running: a loop without a pause, in which the process does nothing else for ever. With an error they end, and the
 * runner, which tries again only while it runs, ends too.
 */
export function endFetchersOfStoppedConsumers(): void {
  if (isMended) return;
  isMended = true;
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/consumer/runner.js') as {
    prototype: Runner;
  };
  const { fetch } = prototype;
  prototype.fetch = async function (nodeId) {
    if (!this.running) throw new Error('the consumer has stopped');
    return fetch.call(this, nodeId);
  };
}

/** The fetchers of kafkajs, when brokers go while their consumer stops. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { endFetchersOfStoppedConsumers } from '../../internal/transport/events/kafka-runner.ts';

const require = createRequire(import.meta.url);
const createFetchManager = require('kafkajs/src/consumer/fetchManager.js');
const Runner = require('kafkajs/src/consumer/runner.js');

it('fetchers that are made anew while their consumer stops end, and leave the process to others', async () => {
  endFetchersOfStoppedConsumers();
  const logger = { namespace: () => logger, debug() {}, info() {} };
  const runner = Object.assign(Object.create(Runner.prototype), {
    running: true,
    logger,
    instrumentationEmitter: { emit() {} },
    consumerGroup: { fetch: () => pause(5, []) },
    heartbeat: async () => {},
  });
  let areGone = false;
  const manager = createFetchManager({
    logger,
    getNodeIds() {
      if (!areGone) return [1, 2, 3];
      if (runner.running) void manager.stop();
      runner.running = false;
      return [3];
    },
    fetch: (nodeId: number) => runner.fetch(nodeId),
    handler: async () => {},
  });
  const fetching = manager.start();
  await pause(20);
  areGone = true;
  await assert.rejects(fetching, /the consumer has stopped/);
  assert.equal(manager.getFetchers().length, 1, 'they were made anew');
});

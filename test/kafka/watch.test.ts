/** When a consumer that says nothing any more is replaced. kafkajs cannot be made to stop at will, so that its events are the test's. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { type TestContext, test } from 'node:test';
import { type Consumer, Kafka } from 'kafkajs';
import { watchConsumer } from '../../internal/transport/events/kafka-watch.ts';
import { turns } from '../support/turns.ts';

/** A watch of a consumer whose events are emitted by hand; `fault` is why it is to be replaced. */
function watched(t: TestContext, isBusy = false) {
  let now = 0;
  t.mock.timers.enable({ apis: ['setInterval'] });
  t.mock.method(performance, 'now', () => now);
  const { events } = new Kafka({ brokers: ['none'] }).consumer({ groupId: 'none' });
  const emitter = new EventEmitter();
  const watch = watchConsumer(Object.assign(emitter, { events }) as unknown as Consumer, () => isBusy);
  let fault: string | undefined;
  watch.failed.catch((error: Error) => {
    fault = error.message;
  });
  t.after(watch.stop);
  return {
    emit: (event: keyof typeof events) => emitter.emit(events[event], { payload: { nodeId: 1 } }),
    async pass(ms: number) {
      now += ms;
      t.mock.timers.tick(ms);
      await turns();
    },
    fault: () => fault,
  };
}

test('a consumer that neither fetches nor says that it lives is replaced after 20 s', async (t) => {
  const { emit, pass, fault } = watched(t);
  await pass(19_000);
  emit('HEARTBEAT');
  await pass(20_000);
  assert.equal(fault(), undefined);
  await pass(250);
  assert.equal(fault(), 'kafkajs hangs');
});

test('a consumer that is handling a batch may take longer', async (t) => {
  const { pass, fault } = watched(t, true);
  await pass(60_000);
  assert.equal(fault(), undefined);
});

test('a fetch that is answered within 2.5 s is no fault, and one that is not is', async (t) => {
  const { emit, pass, fault } = watched(t);
  emit('FETCH_START');
  await pass(2_500);
  emit('FETCH');
  await pass(2_500);
  emit('FETCH_START');
  await pass(2_500);
  assert.equal(fault(), undefined);
  await pass(250);
  assert.equal(fault(), 'a broker does not answer');
});

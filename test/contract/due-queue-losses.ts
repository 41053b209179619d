/** The contract of every due queue that loses its data, or a part of it. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import { type QueueHarness, scenariosOn } from './due-queue.ts';

const LIMIT = 1_000;
const HOUR_MS = 3_600_000;

const id = (name: string) => name as OrderId;

export function dueQueueLossesContract(name: string, harness: QueueHarness): void {
  describe(`${name} fulfils the contract of a due queue that loses data`, () => {
    const scenario = scenariosOn(harness);

    scenario('a lost queue stays lost when its state is set with ifComplete', async ({ queue, lose }) => {
      await queue.setState('paused', { ifComplete: true });
      assert.equal((await queue.claim(0, LIMIT)).state, 'paused');
      await lose();
      await queue.setState('running', { ifComplete: true });
      assert.equal((await queue.claim(0, LIMIT)).state, 'lost');
    });

    scenario(
      'a queue that has lost its members is lost although its state stands, until it is set to running',
      async ({ queue, at, loseMembers }) => {
        for (const state of ['running', 'paused'] as const) {
          await queue.setState(state);
          await queue.schedule([{ orderId: id('one'), dueAt: at + HOUR_MS }]);
          assert.equal((await queue.claim(0, LIMIT)).state, state);
          await loseMembers();
          assert.equal((await queue.claim(0, LIMIT)).state, 'lost');
          await queue.setState(state, { ifComplete: true });
          assert.equal((await queue.claim(0, LIMIT)).state, 'lost');
        }
        await queue.setState('running');
        await queue.schedule([{ orderId: id('two'), dueAt: at }]);
        const { state, due } = await queue.claim(0, LIMIT);
        assert.deepEqual([state, due.length], ['running', 1]);
        assert.deepEqual(await queue.size(), { waiting: 1, due: 0 });
      },
    );

    scenario(
      'a loss is found by scheduling, and by setting the state, too',
      async ({ queue, at, loseMembers }) => {
        const first = await queue.mark();
        await loseMembers();
        await queue.schedule([{ orderId: id('one'), dueAt: at }]);
        assert.equal((await queue.claim(0, LIMIT)).state, 'lost');
        assert.equal(await first(), false);
        const second = await queue.mark();
        await loseMembers();
        await queue.setState('running');
        assert.equal(await second(), false);
      },
    );

    scenario('a mark is found until the queue loses its data', async ({ queue, lose }) => {
      const [one, other, lost] = await Promise.all([queue.mark(), queue.mark(), queue.mark()]);
      assert.equal(await one(), true);
      assert.equal(await other(), true);
      await lose();
      const later = await queue.mark();
      assert.deepEqual([await lost(), await later()], [false, true]);
    });
  });
}

/** Events whose times are too far ahead for an order: they become dead letters on every topic, whoever sent them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '../../../internal/domain/events.ts';
import { toRfc3339 } from '../../../internal/domain/schedule.ts';
import type { Delivery } from '../../../internal/service/stream/ports.ts';
import { consuming, event } from '../../support/consuming.ts';
import { NOON } from '../../support/manual-clock.ts';

const YEAR_MS = 365.25 * 24 * 3_600_000;
const inYears = (years: number) => toRfc3339(NOON + years * YEAR_MS);
const records = (record: object): Delivery => ({
  topic: 'timers',
  key: 'a',
  position: '0/1',
  record,
});

for (const [what, changes] of [
  ['an own event that occurred', { occurredAt: inYears(10.1) }],
  ['an own event that was produced', { producedAt: inYears(900) }],
  ['a timer that is due', { eventType: 'timer.deadline', payload: { dueAt: inYears(10.1) } }],
  [
    'an ETA that is expected',
    { eventType: 'eta.updated', payload: { eta: inYears(11), etaP90: inYears(11), computedAt: inYears(0) } },
  ],
] as const) {
  test(`${what} more than ten years ahead becomes a dead letter, and a replay refuses it again`, async () => {
    const types = ['order.processing', 'timer.deadline', 'eta.updated'] as const;
    const { deliver, effects, letters, store, replay } = consuming({
      types: types as never,
      topics: ['timers'],
    });
    await deliver(records({ ...event('far', 'a'), ...changes } as Event), records(event('near', 'a')));
    assert.deepEqual(effects(), ['near']);
    const [letter] = store.tables.letters;
    assert.match(letter?.error ?? '', /must be within ten years$/);
    await store.deadLetters.requestReplay(letter?.id ?? '');
    await replay();
    assert.deepEqual([effects(), letters().length], [['near'], 1]);
  });
}

test('an event about an order for the last moment of the ten years takes effect, also by a clock that is behind', async () => {
  const { deliver, effects } = consuming({ types: ['timer.deadline'] as never, topics: ['timers'] });
  const dueAt = toRfc3339(NOON + 10 * YEAR_MS + 60_000);
  await deliver(
    records({ ...event('timer', 'a'), eventType: 'timer.deadline', payload: { dueAt } } as Event),
  );
  assert.deepEqual(effects(), ['timer']);
});

/** Following the rider of an order: who is shown, how often, and until when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Delivery, Rider } from '../../../internal/domain/delivery.ts';
import type { OrderView } from '../../../internal/service/views/ports.ts';
import { riderFollower } from '../../../internal/transport/http/routes/views/rider-position.ts';
import { orderAt } from '../../support/builders.ts';
import { NOON } from '../../support/manual-clock.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { until } from '../../support/until.ts';

const HOUR_MS = 3_600_000;

function following(positionsEveryMs: number) {
  const order = orderAt('RIDER_ASSIGNED');
  const shown: (readonly [id: string, latitude: number | undefined])[] = [];
  const listeners = new Map<string, () => void>();
  let latitude: number | undefined = 0;
  let reads = 0;
  let isAway = false;
  const follower = riderFollower(
    {
      ...{ log: recordingLog(), positionsEveryMs },
      riders: {
        async find([id = '']) {
          reads += 1;
          if (isAway) throw new Error('Postgres is away');
          const place = latitude === undefined ? {} : { place: [latitude, 7] as const, placeAt: NOON };
          return [{ id, name: id, isOnDuty: true, carrying: 1, capacity: 2, ...place } satisfies Rider];
        },
      },
      riderMoves: {
        listen(id, listener) {
          listeners.set(id, listener);
          return () => listeners.delete(id);
        },
      },
    },
    ({ id, place }) => shown.push([id, place?.[0]]),
  );
  return {
    shown,
    listening: () => [...listeners.keys()],
    reads: () => reads,
    stop: follower.stop,
    away(value: boolean) {
      isAway = value;
    },
    see: (state: Delivery['state'], riderId?: string) =>
      follower.see({
        order,
        revision: [1, 0],
        delivery: { state, ...(riderId ? { riderId } : {}) },
      } as OrderView),
    async move(riderId: string, to: number | undefined) {
      latitude = to;
      listeners.get(riderId)?.();
      await turn();
    },
  };
}

test('a rider is followed from the assignment to the end, and the next one after another assignment', async () => {
  const { see, move, shown, listening } = following(0);
  see('REQUESTED');
  assert.deepEqual(listening(), []);
  see('ASSIGNED', 'ravi');
  await move('ravi', 1);
  see('ASSIGNED', 'bela');
  assert.deepEqual(listening(), ['bela']);
  await move('ravi', 2);
  await move('bela', 3);
  see('PICKED_UP', 'bela');
  await until('another position', async () => {
    await move('bela', 4);
    return shown.length > 2;
  });
  see('DELIVERED', 'bela');
  assert.deepEqual(listening(), []);
  assert.deepEqual(shown.slice(0, 3), [
    ['ravi', 1],
    ['bela', 3],
    ['bela', 4],
  ]);
});

test('many moves at once are one position, and the last of them is shown when the time for one is over', async () => {
  const seldom = following(HOUR_MS);
  seldom.see('ASSIGNED', 'ravi');
  for (let to = 1; to <= 50; to += 1) await seldom.move('ravi', to);
  assert.deepEqual(seldom.shown, [['ravi', 1]]);
  assert.equal(seldom.reads(), 1);
  seldom.stop();

  const often = following(20);
  often.see('ASSIGNED', 'ravi');
  await Promise.all([often.move('ravi', 1), often.move('ravi', 2), often.move('ravi', 3)]);
  await until('the last position', () => often.shown.at(-1)?.[1] === 3);
  assert.ok(often.shown.length <= 2);
  often.stop();
});

test('a position that was read while the order ended is not shown, nor one that is unknown', async () => {
  const { see, move, shown } = following(0);
  see('PICKED_UP', 'ravi');
  await move('ravi', undefined);
  assert.deepEqual(shown, []);
  const reading = move('ravi', 1);
  see('DELIVERED', 'ravi');
  await reading;
  assert.deepEqual(shown, []);
});

test('a read that fails is made up for by the next move', async () => {
  const { see, move, shown, away, stop } = following(0);
  see('ASSIGNED', 'ravi');
  away(true);
  await move('ravi', 1);
  away(false);
  await until('the position', async () => {
    await move('ravi', 2);
    return shown.length > 0;
  });
  stop();
});

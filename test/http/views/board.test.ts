/** Live boards: what a stream sends when it opens, after a change and after a fault, and when reading stops. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import type { Ticket } from '../../../internal/service/restaurants/ports.ts';
import { jwtAuth } from '../../../internal/transport/http/auth.ts';
import { kitchenRoutes } from '../../../internal/transport/http/routes/views/kitchen-routes.ts';
import { type LiveStreams, liveStreams } from '../../../internal/transport/http/routes/views/live-stream.ts';
import { orderAt } from '../../support/builders.ts';
import { NOON } from '../../support/manual-clock.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { until } from '../../support/until.ts';
import { type Api, startApi } from '../api.ts';
import { bearer, SECRET } from '../tokens.ts';

describe('the live board of a kitchen', () => {
  let api: Api;
  let streams: LiveStreams;
  let open: Ticket[];
  let reads = 0;
  let isAway = false;
  const closing: AbortController[] = [];

  beforeEach(async () => {
    open = [];
    isAway = false;
    streams = liveStreams({ all: 10, each: 3 });
    const more = kitchenRoutes({
      ...{ streams, log: recordingLog(), boardsEveryMs: 5 },
      catalogue: {
        look: async ({ restaurants = [] }) => ({
          restaurants: new Map(
            restaurants
              .filter((id) => id === 'r1')
              .map((id) => [
                id,
                { id, name: 'Tardeo', isActive: true, acceptance: 'manual', address: '', preparationS: 600 },
              ]),
          ),
          menuItems: new Map(),
          stocks: new Map(),
        }),
      },
      orders: { find: async (ids) => ids.map((id): Order => ({ ...orderAt('CONFIRMED'), id })) },
      tickets: {
        async listOpen(_id, { limit }) {
          reads += 1;
          if (isAway) throw new Error('Postgres is away');
          return open.slice(0, limit);
        },
      },
    });
    api = await startApi({ more, authenticate: jwtAuth({ secret: SECRET }) });
  });
  afterEach(async () => {
    for (const one of closing.splice(0)) one.abort();
    streams.endAll();
    await api.close();
  });

  const ticket = (id: string): Ticket => ({
    ...{ orderId: id as OrderId, restaurantId: 'r1', state: 'OPEN', openedAt: NOON },
  });
  async function ask(rid = 'r1') {
    const controller = new AbortController();
    closing.push(controller);
    const response = await fetch(`http://127.0.0.1:${api.port}/v1/restaurants/${rid}/stream`, {
      headers: await bearer(rid, 'restaurant'),
      signal: controller.signal,
    });
    let text = '';
    void (async () => {
      for await (const piece of response.body ?? []) text += Buffer.from(piece);
    })().catch(() => {});
    /** The order ids of each board that was sent. */
    const boards = (): string[][] =>
      [...text.matchAll(/^event: view\ndata: (.*)\n\n/gm)].map(([, data = '']) =>
        JSON.parse(data).orders.map(({ orderId }: { orderId: string }) => orderId),
      );
    return { status: response.status, boards, close: () => controller.abort() };
  }

  it('sends the whole board at once, and again only when it has changed', async () => {
    open = [ticket('a')];
    const first = await ask();
    await until('the first board', () => first.boards().length === 1);
    const before = reads;
    await until('some more readings', () => reads > before + 3);
    open = [ticket('a'), ticket('b')];
    await until('the second board', () => first.boards().length === 2);
    const second = await ask();
    await until('the board of the second stream', () => second.boards().length === 1);
    open = [];
    await until('both to see it', () => [first, second].every(({ boards }) => boards().at(-1)?.length === 0));
    assert.deepEqual(first.boards(), [['a'], ['a', 'b'], []]);
    assert.deepEqual(second.boards(), [['a', 'b'], []]);
  });

  it('goes on after the database was away', async () => {
    const { boards } = await ask();
    await until('the first board', () => boards().length === 1);
    isAway = true;
    const before = reads;
    await until('some readings that fail', () => reads > before + 2);
    open = [ticket('a')];
    isAway = false;
    await until('the board to catch up', () => boards().at(-1)?.[0] === 'a');
  });

  it('is not read while nobody looks', async () => {
    const { boards, close } = await ask();
    await until('the first board', () => boards().length === 1);
    close();
    let last = -1;
    await until('reading to stop', async () => {
      const isSame = last === reads;
      last = reads;
      await new Promise((resolve) => setTimeout(resolve, 60));
      return isSame && last === reads;
    });
    const again = await ask();
    open = [ticket('z')];
    await until('reading to begin again', () => again.boards().at(-1)?.[0] === 'z');
  });

  it('has at most 100 tickets, and says when there are more', async () => {
    open = Array.from({ length: 130 }, (_, n) => ticket(`t${n}`));
    const { boards } = await ask();
    await until('the board', () => boards().length === 1);
    assert.equal(boards()[0]?.length, 100);
  });

  it('refuses a restaurant that does not exist, and a fourth stream of one principal', async () => {
    assert.equal((await ask('nowhere')).status, 404);
    const all = [await ask(), await ask(), await ask(), await ask()];
    assert.deepEqual(
      all.map(({ status }) => status),
      [200, 200, 200, 429],
    );
  });
});

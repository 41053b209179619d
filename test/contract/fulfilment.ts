/** What every store of payments, tickets, deliveries and messages does, and the source of views. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Delivery } from '../../internal/domain/delivery.ts';
import type { Notification } from '../../internal/domain/notification.ts';
import type { OrderId } from '../../internal/domain/order.ts';
import { afterStep, newPayment } from '../../internal/domain/payment.ts';
import type { Transaction } from '../../internal/service/ports.ts';
import type { Ticket } from '../../internal/service/restaurants/ports.ts';
import { CONTENTS, orderAt, placedOrder } from '../support/builders.ts';
import { NOON } from '../support/manual-clock.ts';
import { opened } from './transactions.ts';
import { hasEnded, id, type Stores, seed, type World } from './worlds.ts';

const pending = (name: string) =>
  afterStep(
    newPayment(placedOrder({ content: { ...CONTENTS.items, id: name } }), NOON),
    'authorize',
    { outcome: 'none' },
    NOON,
  );
const authorized = (name: string) =>
  afterStep(pending(name), 'authorize', { outcome: 'done', authorizationId: `of ${name}` }, NOON + 1);
const ticket = (name: string, changes: Partial<Ticket> = {}): Ticket => ({
  orderId: id(name),
  restaurantId: 'r1',
  state: 'OPEN',
  openedAt: NOON,
  ...changes,
});
const delivery = (name: string, changes: Partial<Delivery> = {}): Delivery => ({
  orderId: id(name),
  state: 'REQUESTED',
  attempts: 0,
  requestedAt: NOON,
  restaurantId: 'r1',
  pickupAddress: '1 Tardeo Road',
  pickup: [18.97, 72.81],
  ...changes,
});
const message = (name: string, changes: Partial<Notification> = {}): Notification => ({
  orderId: id(name),
  to: 'Asha',
  template: 'ORDER_CREATED',
  variables: { orderId: name },
  state: 'PENDING',
  attempts: 0,
  createdAt: NOON,
  ...changes,
});

interface Rows<R> {
  readonly what: string;
  readonly store: (stores: Stores) => {
    lock(tx: Transaction, ids: readonly OrderId[]): Promise<Map<OrderId, R>>;
    save(tx: Transaction, rows: readonly R[]): Promise<void>;
  };
  readonly first: R;
  readonly changed: R;
  /** The changed row, with other values of what a row keeps. */
  readonly altered: R;
}

/** The tests know rows by these values alone. */
const rows = <R>(some: Rows<R>) => some as unknown as Rows<unknown>;

const ROWS = [
  rows({
    what: 'payment',
    store: ({ payments }) => payments,
    first: pending('a'),
    changed: authorized('a'),
    altered: { ...authorized('a'), requestedMinor: 999_999, requestedAt: NOON + 9, currency: 'EUR' },
  }),
  rows({
    what: 'ticket',
    store: ({ tickets }) => tickets,
    first: ticket('a'),
    changed: ticket('a', { state: 'REJECTED', answeredAt: NOON + 1, reason: 'no rice' }),
    altered: ticket('a', {
      ...{ state: 'REJECTED', answeredAt: NOON + 1, reason: 'no rice' },
      ...{ restaurantId: 'r2', openedAt: NOON + 9 },
    }),
  }),
  rows({
    what: 'delivery',
    store: ({ deliveries }) => deliveries,
    first: delivery('a'),
    changed: delivery('a', { state: 'ASSIGNED', riderId: 'anna', holdsPlace: true, assignedAt: NOON + 1 }),
    altered: delivery('a', {
      ...{ state: 'ASSIGNED', riderId: 'anna', holdsPlace: true, assignedAt: NOON + 1 },
      ...{ restaurantId: 'r2', pickupAddress: 'elsewhere', pickup: [1, 1], requestedAt: NOON + 9 },
    }),
  }),
];

export function fulfilmentContract(name: string, world: World): void {
  describe(`what fulfils orders ${name}`, { timeout: 120_000 }, () => {
    const holds = (sentence: string, check: (stores: Stores) => Promise<void>) =>
      it(sentence, () => world(check));

    for (const { what, store, first, changed, altered } of ROWS) {
      const read = (stores: Stores) =>
        stores.transactions.run(async (tx) => plain(await store(stores).lock(tx, [id('a'), id('nobody')])));
      const save = (stores: Stores, row: unknown) =>
        stores.transactions.run((tx) => store(stores).save(tx, [row]));

      holds(`a ${what} is stored, changed, and read back unchanged`, async (stores) => {
        await stores.transactions.run((tx) => store(stores).save(tx, []));
        assert.deepEqual(await read(stores), []);
        for (const row of [first, changed]) {
          await save(stores, row);
          assert.deepEqual(await read(stores), plain(new Map([['a', row]])));
        }
      });

      holds(`what a ${what} was created with stays when it is saved again`, async (stores) => {
        await save(stores, first);
        await save(stores, altered);
        assert.deepEqual(await read(stores), plain(new Map([['a', changed]])));
      });

      holds(`a locked ${what} makes others wait, who then see its change`, async (stores) => {
        await save(stores, first);
        const open = await opened(stores, async (tx) => {
          await store(stores).lock(tx, [id('a')]);
          await store(stores).save(tx, [changed]);
        });
        const second = read(stores);
        assert.equal(await hasEnded(stores, second), false);
        await open.commit();
        assert.deepEqual(await second, plain(new Map([['a', changed]])));
      });

      holds(
        `who saves a new ${what} that another is saving waits, and a rollback leaves none`,
        async (stores) => {
          const open = await opened(stores, (tx) => store(stores).save(tx, [first]));
          const second = save(stores, changed);
          assert.equal(await hasEnded(stores, second), false);
          await open.rollBack();
          await second;
          assert.deepEqual(await read(stores), plain(new Map([['a', changed]])));
        },
      );
    }

    holds('payments and deliveries are found without a lock, as they are committed', async (stores) => {
      const { payments, deliveries, transactions } = stores;
      await transactions.run(async (tx) => {
        await payments.save(tx, [pending('a')]);
        await deliveries.save(tx, [delivery('a')]);
      });
      const open = await opened(stores, async (tx) => {
        await payments.save(tx, [authorized('a')]);
        await deliveries.save(tx, [delivery('a', { state: 'RELEASED' })]);
      });
      const ids = [id('a'), id('nobody')];
      assert.deepEqual(plain(await payments.find(ids)), plain(new Map([['a', pending('a')]])));
      assert.deepEqual(plain(await deliveries.find(ids)), plain(new Map([['a', delivery('a')]])));
      await open.commit();
      assert.deepEqual(plain(await payments.find(ids)), plain(new Map([['a', authorized('a')]])));
    });

    holds(
      'the open and accepted tickets of a restaurant are listed oldest first, page by page',
      async ({ tickets, transactions }) => {
        const open = [
          ticket('b', { openedAt: NOON + 1 }),
          ticket('c', { openedAt: NOON + 1, state: 'ACCEPTED' }),
          ticket('a', { openedAt: NOON + 2 }),
        ];
        const others = [ticket('d', { restaurantId: 'r2' }), ticket('e', { state: 'CLOSED' })];
        await transactions.run((tx) => tickets.save(tx, [...open.toReversed(), ...others]));
        const first = await tickets.listOpen('r1', { limit: 2 });
        const rest = await tickets.listOpen('r1', { limit: 2, after: first[1] as Ticket });
        assert.deepEqual([first, rest], [open.slice(0, 2), open.slice(2)]);
      },
    );

    holds(
      'the deliveries that a rider has are those that were assigned and have not ended',
      async ({ deliveries, transactions }) => {
        const own = [
          delivery('b', { state: 'ASSIGNED', riderId: 'anna' }),
          delivery('c', { state: 'PICKED_UP', riderId: 'anna' }),
        ];
        const others = [
          delivery('a', { state: 'DELIVERED', riderId: 'anna' }),
          delivery('d', { state: 'ASSIGNED', riderId: 'bela' }),
        ];
        await transactions.run((tx) => deliveries.save(tx, [...own.toReversed(), ...others]));
        assert.deepEqual(await deliveries.ofRider('anna'), own);
      },
    );

    holds('messages are found oldest first; one that was sent stays as it is', async (stores) => {
      const { notifications, transactions } = stores;
      const save = (...some: Notification[]) => transactions.run((tx) => notifications.save(tx, some));
      const [created, done] = [message('a'), message('a', { template: 'ORDER_DONE', createdAt: NOON - 1 })];
      await save(created, done, message('b'));
      assert.deepEqual(await notifications.find([id('a')]), [done, created]);
      const failed = message('a', { attempts: 1, error: 'no answer' });
      const sent = message('a', { state: 'SENT', sentAt: NOON + 5, attempts: 1 });
      for (const row of [failed, sent]) {
        await save({ ...row, to: 'somebody else', createdAt: NOON + 9 });
        assert.deepEqual((await notifications.find([id('a')]))[1], row);
      }
      await save(message('a', { state: 'GIVEN_UP', attempts: 9 }));
      assert.deepEqual((await notifications.find([id('a')]))[1], sent);
    });

    holds(
      'a message that was sent meanwhile is not made pending again by who waits to save it',
      async (stores) => {
        const { notifications, transactions } = stores;
        const sent = message('a', { state: 'SENT', sentAt: NOON + 5 });
        await transactions.run((tx) => notifications.save(tx, [message('a')]));
        const open = await opened(stores, (tx) => notifications.save(tx, [sent]));
        const second = transactions.run((tx) => notifications.save(tx, [message('a', { attempts: 3 })]));
        assert.equal(await hasEnded(stores, second), false);
        assert.deepEqual(await notifications.find([id('a')]), [message('a')]);
        await open.commit();
        await second;
        assert.deepEqual(await notifications.find([id('a')]), [sent]);
      },
    );

    holds('the customers of orders are those with an id or a contact', async (stores) => {
      const contact = { name: 'Asha', phone: '+9122' };
      const contents = [{ customerId: 'c1' }, { contact }, { customerId: 'c2', contact }, {}];
      const orders = contents.map((content, n) => placedOrder({ content: { ...content, id: `o${n}` } }));
      await seed(stores, ...orders);
      const found = await stores.notifications.customers([...orders.map(({ id }) => id), id('nobody')]);
      assert.deepEqual(
        found,
        new Map([
          ['o0', { customerId: 'c1' }],
          ['o1', { contact }],
          ['o2', { customerId: 'c2', contact }],
        ]),
      );
    });

    holds(
      'a view shows the committed rows of an order, and its revision rises with each of them',
      async (stores) => {
        const { transactions, payments, deliveries, inventory, viewSource } = stores;
        await stores.stock({ dal: 1 });
        const order = { ...orderAt('CONFIRMED', 'delivery'), id: id('a') };
        await seed(stores, order);
        const view = async () => (await viewSource.read([id('a'), id('nobody'), id('a')]))[0];
        const plainView = { order, revision: [order.version, 0] as const };
        assert.deepEqual(await view(), plainView);
        const window = { median: NOON + 2, p90: NOON + 3 };
        const change = { why: 'RIDER_ASSIGNED', at: NOON + 1, to: window } as const;
        const eta = { ...window, computedAt: NOON + 1, change };
        const way = { pickup: [18.97, 72.81], dropoff: [19, 73] } as const;
        const open = await opened(stores, async (tx) => {
          await inventory.reserve(tx, [{ orderId: id('a'), lines: [{ itemId: 'dal', quantity: 1 }] }]);
          await payments.save(tx, [authorized('a')]);
          await deliveries.save(tx, [delivery('a', { state: 'ASSIGNED', riderId: 'anna', eta, ...way })]);
        });
        assert.deepEqual(await view(), plainView);
        await open.commit();
        assert.deepEqual(await view(), {
          order,
          delivery: { state: 'ASSIGNED', riderId: 'anna', ...way, eta },
          payment: 'AUTHORIZED',
          reservation: 'reserved',
          revision: [order.version + authorized('a').version + 1 + 2, NOON + 1],
        });
        await transactions.run((tx) => inventory.release(tx, [id('a')]));
        assert.equal((await view())?.reservation, 'released');
      },
    );
  });
}

/** Without undefined fields, which a row cannot tell from absent ones. */
function plain(rows: ReadonlyMap<string, unknown>): unknown {
  return JSON.parse(JSON.stringify([...rows.values()]));
}

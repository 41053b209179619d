/** The ports of transactions, orders, timers and dead letters, on the simulated database. */
import { TiffinError } from '../../internal/domain/errors.ts';
import { isFinal, type Order, type OrderId } from '../../internal/domain/order.ts';
import type { OrderStore, Placement, PlacementOutcome } from '../../internal/service/orders/ports.ts';
import {
  BEGINNING,
  type DeadLetter,
  type IdempotencyKey,
  type LogPosition,
  type StoredResponse,
  type Transaction,
  type Transactions,
} from '../../internal/service/ports.ts';
import type {
  OrderSchedule,
  SchedulerSwitch,
  Timer,
  Timers,
  Waiting,
} from '../../internal/service/scheduling/ports.ts';
import type { DeadLetters } from '../../internal/service/stream/ports.ts';
import { bind, type Database, type Session, sessionOf } from './database.ts';
import type { Scheduler } from './scheduler.ts';

interface OrderRow {
  readonly order: Order;
  readonly fingerprint: string;
}

export type OrderStores = ReturnType<typeof orderStores>;

/** The ports; without `marks`, `claimEvents` remembers nothing. */
export function orderStores(simulation: Scheduler, db: Database, { marks = true } = {}) {
  const { call } = simulation;
  const orders = db.table<OrderRow>('orders');
  const processed = db.table<{ readonly consumer: string; readonly eventId: string }>('processed');
  const cursors = db.table<LogPosition>('cursors');
  const answers = db.table<StoredResponse>('answers');
  const letters = db.table<DeadLetter>('letters');
  const timers = db.table<Timer>('timers');
  let lastLetter = 0;

  /** A fault hits the beginning of a transaction, one of its statements, or its end. */
  async function run<T>(work: (tx: Transaction, session: Session) => Promise<T>): Promise<T> {
    const session = await call('begin', () => db.begin());
    try {
      const result = await work(transactionOf(session), session);
      await call('commit', () => db.commit(session));
      return result;
    } catch (error) {
      if (session.isOpen) db.abort(session);
      throw error;
    }
  }

  function transactionOf(session: Session): Transaction {
    const tx: Transaction = {
      lockOrders: (ids) =>
        call('lock orders', async () => {
          await db.lock(session, orders, ids);
          const rows = ids.flatMap((id) => db.get(orders, id, session) ?? []);
          return new Map(rows.map(({ order }) => [order.id, order]));
        }),
      saveOrders: (changed) =>
        call('save orders', () => {
          for (const order of changed) {
            const row = db.get(orders, order.id, session);
            if (row) db.put(session, orders, order.id, { ...row, order });
          }
        }),
      appendEvents: async (events) => db.append(session, events),
      claimEvents: (consumer, ids) =>
        call('claim events', async () => {
          const names = ids.map((id) => `${consumer} ${id}`);
          await db.lock(session, processed, names);
          const claimed = ids.filter((id) => !db.get(processed, `${consumer} ${id}`, session));
          if (marks)
            for (const id of claimed)
              db.put(session, processed, `${consumer} ${id}`, { consumer, eventId: id });
          return new Set(claimed);
        }),
      moveCursor: (consumer, from, to) =>
        call('move cursor', async () => {
          await db.lock(session, cursors, [consumer]);
          const { transactionId, position } = db.get(cursors, consumer, session) ?? BEGINNING;
          if (transactionId !== from.transactionId || position !== from.position)
            throw new TiffinError('UNAVAILABLE', `the cursor of ${consumer} was moved by another process`);
          db.put(session, cursors, consumer, to);
        }),
      deadLetters: {
        async add(added) {
          for (const letter of added) {
            const key = `${letter.consumer} ${letter.eventId}`;
            if (db.get(letters, key, session)) continue;
            lastLetter += 1;
            const createdAt = simulation.now();
            db.put(session, letters, key, { ...letter, id: String(lastLetter), createdAt });
          }
        },
        async remove() {
          return false;
        },
      },
      idempotency: {
        find: async (key) => db.get(answers, nameOf(key), session),
        async save(key, answer) {
          await db.lock(session, answers, [nameOf(key)]);
          if (db.get(answers, nameOf(key), session))
            throw new TiffinError('IDEMPOTENCY_KEY_REUSED', 'the key was used at the same moment');
          db.put(session, answers, nameOf(key), answer);
        },
      },
    };
    return bind(tx, session);
  }

  async function placeOne(session: Session, placement: Placement): Promise<PlacementOutcome> {
    const { order, event, fingerprint } = placement;
    await db.lock(session, orders, [order.id]);
    const taken = db.get(orders, order.id, session);
    if (taken) return { outcome: 'id-taken', ...taken };
    db.put(session, orders, order.id, { order, fingerprint });
    db.append(session, [event]);
    return { outcome: 'placed' };
  }

  const store: OrderStore = {
    place: (placements) =>
      run(async (_tx, session) => {
        const outcomes: PlacementOutcome[] = [];
        for (const placement of placements)
          outcomes.push(await call('place', () => placeOne(session, placement)));
        return outcomes;
      }),
    saveResponse: (key, answer) =>
      run(async (_tx, session) => {
        if (!db.get(answers, nameOf(key), session)) db.put(session, answers, nameOf(key), answer);
      }),
    find: (ids) => call('find orders', () => ids.flatMap((id) => db.get(orders, id)?.order ?? [])),
    list: async () => [],
  };

  const waitingOrders = (): Waiting[] =>
    db
      .all(orders)
      .filter(({ order }) => order.status === 'CREATED')
      .map(({ order }) => ({ orderId: order.id, dueAt: order.dueAt }))
      .sort((a, b) => a.dueAt - b.dueAt);

  const orderSchedule: OrderSchedule = {
    async *waiting({ from, to }) {
      const page = await call('waiting orders', () =>
        waitingOrders().filter(({ dueAt }) => dueAt >= from && dueAt < to),
      );
      if (page.length > 0) yield page;
    },
    stillWaiting: (ids) =>
      call('still waiting', () => waitingOrders().filter(({ orderId }) => ids.includes(orderId))),
    async *inFlight() {
      const page = await call('orders in flight', () =>
        db
          .all(orders)
          .map(({ order }) => order)
          .filter(({ status }) => status !== 'CREATED' && !isFinal(status)),
      );
      if (page.length > 0) yield page;
    },
  };

  const timerStore: Timers = {
    async set(tx, set) {
      for (const timer of set) db.put(sessionOf(tx), timers, `${timer.orderId} ${timer.kind}`, timer);
    },
    async dueAt(tx, kind, ids) {
      const rows = ids.flatMap((id) => db.get(timers, `${id} ${kind}`, sessionOf(tx)) ?? []);
      return new Map(rows.map(({ orderId, dueAt }) => [orderId, dueAt]));
    },
    async clear(tx, cleared) {
      for (const { orderId, kind } of cleared) db.remove(sessionOf(tx), timers, `${orderId} ${kind}`);
    },
    async *waiting({ from, to }) {
      const page = await call('waiting timers', () =>
        db
          .all(timers)
          .filter(({ dueAt }) => dueAt >= from && dueAt < to)
          .sort((a, b) => a.dueAt - b.dueAt),
      );
      if (page.length > 0) yield page;
    },
  };

  const deadLetters: Pick<DeadLetters, 'screen'> = {
    screen: (consumer, eventIds, orderIds) =>
      call('screen', () => {
        const parked = new Set(
          db.all(letters).flatMap((letter) => (letter.consumer === consumer ? [letter.orderId] : [])),
        );
        return {
          seen: new Set(eventIds.filter((id) => db.get(processed, `${consumer} ${id}`))),
          parked: new Set(orderIds.filter((id) => parked.has(id))),
        };
      }),
  };

  const schedulerSwitch: SchedulerSwitch = { isPaused: async () => false, setPaused: async () => {} };
  const transactions: Transactions = { run };
  return {
    transactions,
    orders: store,
    orderSchedule,
    timers: timerStore,
    deadLetters: deadLetters as DeadLetters,
    schedulerSwitch,
    cursorOf: (consumer: string) => call('read cursor', () => db.get(cursors, consumer) ?? BEGINNING),
    ordersNow: () => db.all(orders).map(({ order }) => order),
    processedNow: () => db.all(processed),
    lettersNow: () => db.all(letters),
    orderNow: (id: OrderId) => db.get(orders, id)?.order,
  };
}

function nameOf({ principal, operation, key }: IdempotencyKey): string {
  return JSON.stringify([principal, operation, key]);
}

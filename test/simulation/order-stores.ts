/** The ports of orders, their schedule and their timers, on the simulated database. */
import { isFinal, type OrderId } from '../../internal/domain/order.ts';
import type { OrderStore, Placement, PlacementOutcome } from '../../internal/service/orders/ports.ts';
import type { DeadLetter, StoredResponse } from '../../internal/service/ports.ts';
import type {
  OrderSchedule,
  SchedulerSwitch,
  Timer,
  Timers,
  Waiting,
} from '../../internal/service/scheduling/ports.ts';
import type { DeadLetters } from '../../internal/service/stream/ports.ts';
import { pageOf } from '../support/newest-first.ts';
import { type Database, type Session, sessionOf } from './database.ts';
import type { Scheduler } from './scheduler.ts';
import { cursorIn, nameOf, type OrderRow, simulatedTransactions, toEntry } from './transactions.ts';

export type OrderStores = ReturnType<typeof orderStores>;

/** Another transaction has stored a response under one of the keys since they were looked for. */
class KeyTaken extends Error {}

export function orderStores(simulation: Scheduler, db: Database, { marks = true } = {}) {
  const { call } = simulation;
  const transactions = simulatedTransactions(simulation, db, { marks });
  const orders = db.table<OrderRow>('orders');
  const processed = db.table<{ readonly consumer: string; readonly eventId: string }>('processed');
  const answers = db.table<StoredResponse>('answers');
  const letters = db.table<DeadLetter>('letters');
  const timers = db.table<Timer>('timers');
  const paused = db.table<boolean>('switch');

  async function placeOne(session: Session, placement: Placement): Promise<PlacementOutcome> {
    const { order, event, fingerprint, idempotency } = placement;
    const answer = idempotency && db.get(answers, nameOf(idempotency.key), session);
    if (answer) return { outcome: 'answered', answer };
    if (!(await db.insert(session, orders, order.id, { order, fingerprint }))) {
      const taken = db.get(orders, order.id, session) as OrderRow;
      return { outcome: 'id-taken', ...taken };
    }
    db.append(session, [toEntry(event)]);
    const { key, answer: response } = idempotency ?? {};
    if (key && response && !(await db.insert(session, answers, nameOf(key), response))) throw new KeyTaken();
    return { outcome: 'placed' };
  }

  function place(placements: readonly Placement[]): Promise<PlacementOutcome[]> {
    const outcomes: PlacementOutcome[] = new Array(placements.length);
    return transactions.run(async (_tx, session) => {
      await db.statement(session, 'place', async () => {
        for (const { placement, index } of inLockOrder(placements))
          outcomes[index] = await placeOne(session, placement);
      });
      return outcomes;
    });
  }

  const store: OrderStore = {
    place: (placements) =>
      place(placements).catch((error) => {
        // The repetition sees the response.
        if (error instanceof KeyTaken) return place(placements);
        throw error;
      }),
    saveResponse: (key, answer) =>
      transactions.run(async (_tx, session) => {
        await db.statement(session, 'save response', () => db.insert(session, answers, nameOf(key), answer));
      }),
    find: (ids) =>
      call('find orders', () => [...new Set(ids)].flatMap((id) => db.get(orders, id)?.order ?? [])),
    list: (query) => call('list orders', () => pageOf(ordersNow(), query)),
  };

  const ordersNow = () => db.all(orders).map(({ order }) => order);

  const orderSchedule: OrderSchedule = {
    async *waiting({ from, to }) {
      const page = await call('waiting orders', () =>
        ordersNow()
          .filter(({ status, dueAt }) => status === 'CREATED' && dueAt >= from && dueAt < to)
          .map(({ id, dueAt }): Waiting => ({ orderId: id, dueAt }))
          .sort((a, b) => a.dueAt - b.dueAt || (a.orderId < b.orderId ? -1 : 1)),
      );
      if (page.length > 0) yield page;
    },
    stillWaiting: (ids) =>
      call('still waiting', () =>
        [...new Set(ids)].flatMap((id): Waiting[] => {
          const order = db.get(orders, id)?.order;
          return order?.status === 'CREATED' ? [{ orderId: id, dueAt: order.dueAt }] : [];
        }),
      ),
    async *inFlight() {
      const page = await call('orders in flight', () =>
        ordersNow().filter(({ status }) => status !== 'CREATED' && !isFinal(status)),
      );
      if (page.length > 0) yield page;
    },
  };

  const timerName = ({ orderId, kind }: Pick<Timer, 'orderId' | 'kind'>) => `${orderId} ${kind}`;
  const byName = <T extends Pick<Timer, 'orderId' | 'kind'>>(some: readonly T[]) =>
    [...new Map(some.map((timer) => [timerName(timer), timer]))].sort(([a], [b]) => (a < b ? -1 : 1));
  const timerStore: Timers = {
    async set(tx, set) {
      if (set.length === 0) return;
      const session = sessionOf(tx);
      await db.statement(session, 'set timers', async () => {
        for (const [name, timer] of byName(set)) await db.write(session, timers, name, () => timer);
      });
    },
    dueAt(tx, kind, ids) {
      const session = sessionOf(tx);
      return db.statement(session, 'timers due at', () => {
        const rows = ids.flatMap((orderId) => db.get(timers, timerName({ orderId, kind }), session) ?? []);
        return new Map(rows.map(({ orderId, dueAt }) => [orderId, dueAt]));
      });
    },
    async clear(tx, cleared) {
      if (cleared.length === 0) return;
      const session = sessionOf(tx);
      await db.statement(session, 'clear timers', async () => {
        for (const [name] of byName(cleared)) await db.remove(session, timers, name);
      });
    },
    async *waiting({ from, to }) {
      const page = await call('waiting timers', () =>
        db
          .all(timers)
          .filter(({ dueAt }) => dueAt >= from && dueAt < to)
          .sort((a, b) => a.dueAt - b.dueAt || (timerName(a) < timerName(b) ? -1 : 1)),
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

  const schedulerSwitch: SchedulerSwitch = {
    isPaused: () => call('read switch', () => paused.rows.get('') ?? false),
    setPaused: (value) => call('write switch', () => void paused.rows.set('', value)),
  };

  return {
    transactions,
    orders: store,
    orderSchedule,
    timers: timerStore,
    deadLetters,
    schedulerSwitch,
    cursorOf: (consumer: string) => call('read cursor', () => cursorIn(db, consumer)),
    ordersNow,
    processedNow: () => db.all(processed),
    lettersNow: () => db.all(letters),
    orderNow: (id: OrderId) => db.get(orders, id)?.order,
  };
}

/** By id, so that two groups never deadlock; a placement whose key an earlier one of the group has comes after that. */
function inLockOrder(placements: readonly Placement[]): { placement: Placement; index: number }[] {
  const keys = new Set<string>();
  const [first, repeated]: { placement: Placement; index: number }[][] = [[], []];
  for (const [index, placement] of placements.entries()) {
    const key = placement.idempotency && nameOf(placement.idempotency.key);
    (key && keys.has(key) ? repeated : first)?.push({ placement, index });
    if (key) keys.add(key);
  }
  const byId = (a: { placement: Placement }, b: { placement: Placement }) =>
    a.placement.order.id < b.placement.order.id ? -1 : Number(a.placement.order.id > b.placement.order.id);
  return [...(first ?? []).sort(byId), ...(repeated ?? []).sort(byId)];
}

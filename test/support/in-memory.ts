/** The ports in memory: one store behind transactions, orders and schedule, with dead letters and a stream. */
import { TiffinError } from '../../internal/domain/errors.ts';
import type { Event } from '../../internal/domain/events.ts';
import { isFinal, type Order, type OrderId } from '../../internal/domain/order.ts';
import type { OrderStore, Placement, PlacementOutcome } from '../../internal/service/orders/ports.ts';
import type {
  IdempotencyKey,
  StoredResponse,
  Transaction,
  Transactions,
} from '../../internal/service/ports.ts';
import type { OrderSchedule, SchedulerSwitch, Waiting } from '../../internal/service/scheduling/ports.ts';
import type { DeadLetterGroups, DeadLetters } from '../../internal/service/stream/ports.ts';
import { type MemoryBus, memoryBus } from './in-memory-bus.ts';
import { type LetterTables, memoryLetters } from './in-memory-letters.ts';
import { pageOf } from './newest-first.ts';

interface Row {
  readonly order: Order;
  readonly fingerprint: string;
}

interface Tables extends LetterTables {
  orders: Map<OrderId, Row>;
  events: Event[];
  answers: Map<string, StoredResponse>;
}

export interface MemoryStore {
  readonly transactions: Transactions;
  readonly orders: OrderStore;
  readonly orderSchedule: OrderSchedule;
  readonly deadLetters: DeadLetters & DeadLetterGroups;
  readonly schedulerSwitch: SchedulerSwitch;
  readonly bus: MemoryBus;
  /** Stores orders as they are, without events. */
  seed(...orders: Order[]): void;
  readonly tables: Tables;
}

export function memoryStore(): MemoryStore {
  let tables: Tables = {
    orders: new Map(),
    events: [],
    processed: new Set(),
    answers: new Map(),
    letters: [],
  };
  const letters = memoryLetters(() => tables);
  let queue: Promise<unknown> = Promise.resolve();

  /** Runs one transaction at a time; one that throws is rolled back. */
  function exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = queue.then(async () => {
      const before = copyOf(tables);
      try {
        return await work();
      } catch (error) {
        tables = before;
        throw error;
      }
    });
    queue = result.catch(() => {});
    return result;
  }

  function append(events: readonly Event[]): void {
    const known = new Set(tables.events.map(({ eventId }) => eventId));
    tables.events.push(...events.filter(({ eventId }) => !known.has(eventId)));
  }

  const transaction: Transaction = {
    async lockOrders(ids) {
      const rows = ids.flatMap((id) => tables.orders.get(id) ?? []);
      return new Map(rows.map(({ order }) => [order.id, order]));
    },
    async saveOrders(orders) {
      for (const order of orders) {
        const row = tables.orders.get(order.id);
        if (row) tables.orders.set(order.id, { ...row, order });
      }
    },
    async appendEvents(events) {
      append(events);
    },
    async claimEvents(consumer, eventIds) {
      const claimed = new Set(eventIds.filter((id) => !tables.processed.has(`${consumer} ${id}`)));
      for (const id of claimed) tables.processed.add(`${consumer} ${id}`);
      return claimed;
    },
    async moveCursor() {},
    deadLetters: {
      async add(added) {
        for (const letter of added) letters.add(letter);
      },
      remove: async (id) => letters.remove(id),
    },
    idempotency: {
      find: async (key) => tables.answers.get(answerName(key)),
      async save(key, answer) {
        if (tables.answers.has(answerName(key)))
          throw new TiffinError('IDEMPOTENCY_KEY_REUSED', 'the key was used at the same moment');
        tables.answers.set(answerName(key), answer);
      },
    },
  };

  function placeOne({ order, event, fingerprint, idempotency }: Placement): PlacementOutcome {
    const answer = idempotency && tables.answers.get(answerName(idempotency.key));
    if (answer) return { outcome: 'answered', answer };
    const taken = tables.orders.get(order.id);
    if (taken) return { outcome: 'id-taken', ...taken };
    tables.orders.set(order.id, { order, fingerprint });
    append([event]);
    if (idempotency) tables.answers.set(answerName(idempotency.key), idempotency.answer);
    return { outcome: 'placed' };
  }

  const orders: OrderStore = {
    place: (placements) => exclusively(async () => placements.map(placeOne)),
    async saveResponse(key, answer) {
      if (!tables.answers.has(answerName(key))) tables.answers.set(answerName(key), answer);
    },
    find: async (ids) => ids.flatMap((id) => tables.orders.get(id)?.order ?? []),
    list: async (query) =>
      pageOf(
        [...tables.orders.values()].map(({ order }) => order),
        query,
      ),
  };

  const orderSchedule: OrderSchedule = {
    async *inFlight() {
      const page = [...tables.orders.values()]
        .map(({ order }) => order)
        .filter(({ status }) => status !== 'CREATED' && !isFinal(status));
      if (page.length > 0) yield page;
    },
    async *waiting({ from, to }) {
      const page = waitingOrders().filter(({ dueAt }) => dueAt >= from && dueAt < to);
      for (let at = 0; at < page.length; at += 2) yield page.slice(at, at + 2);
    },
    stillWaiting: async (ids) => waitingOrders().filter(({ orderId }) => ids.includes(orderId)),
  };

  function waitingOrders(): Waiting[] {
    return [...tables.orders.values()]
      .filter(({ order }) => order.status === 'CREATED')
      .map(({ order }) => ({ orderId: order.id, dueAt: order.dueAt }))
      .sort((a, b) => a.dueAt - b.dueAt);
  }

  let paused = false;
  return {
    transactions: { run: (work) => exclusively(() => work(transaction)) },
    orders,
    orderSchedule,
    deadLetters: letters.deadLetters,
    schedulerSwitch: {
      isPaused: async () => paused,
      async setPaused(value) {
        paused = value;
      },
    },
    bus: memoryBus(() => tables.events, append),
    seed(...orders) {
      for (const order of orders) tables.orders.set(order.id, { order, fingerprint: `of ${order.id}` });
    },
    get tables() {
      return tables;
    },
  };
}

function copyOf({ orders, events, processed, answers, letters }: Tables): Tables {
  return {
    orders: new Map(orders),
    events: [...events],
    processed: new Set(processed),
    answers: new Map(answers),
    letters: [...letters],
  };
}

function answerName({ principal, operation, key }: IdempotencyKey): string {
  return JSON.stringify([principal, operation, key]);
}

/** The ports in memory: one store behind transactions, orders, schedule, dead letters and stream. */
import { TiffinError } from '../../internal/domain/errors.ts';
import type { Event } from '../../internal/domain/events.ts';
import { isFinal, type Order, type OrderId } from '../../internal/domain/order.ts';
import { TOPICS } from '../../internal/domain/topics.ts';
import type { OrderStore, Placement, PlacementOutcome } from '../../internal/service/orders/ports.ts';
import type {
  DeadLetter,
  IdempotencyKey,
  NewDeadLetter,
  StoredResponse,
  Transaction,
  Transactions,
} from '../../internal/service/ports.ts';
import type { OrderSchedule, SchedulerSwitch, Waiting } from '../../internal/service/scheduling/ports.ts';
import type {
  DeadLetterGroups,
  DeadLetters,
  Delivery,
  EventBus,
  Subscription,
} from '../../internal/service/stream/ports.ts';

interface Row {
  readonly order: Order;
  readonly fingerprint: string;
}
type Letter = DeadLetter & { readonly replayRequested: boolean };

interface Tables {
  orders: Map<OrderId, Row>;
  events: Event[];
  processed: Set<string>;
  answers: Map<string, StoredResponse>;
  letters: Letter[];
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

export interface MemoryBus extends EventBus {
  /** Every event, in the order of the log. */
  readonly events: readonly Event[];
  /** Delivers new events to every subscription until no more follow; rejects with the error of a handler. */
  deliver(): Promise<void>;
}

export function memoryStore(): MemoryStore {
  let tables: Tables = {
    orders: new Map(),
    events: [],
    processed: new Set(),
    answers: new Map(),
    letters: [],
  };
  let lastLetter = 0;
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
      async add(letters) {
        for (const letter of letters) addDeadLetters(letter);
      },
      async remove(id) {
        const found = tables.letters.some((letter) => letter.id === id);
        tables.letters = tables.letters.filter((letter) => letter.id !== id);
        return found;
      },
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

  function addDeadLetters(letter: NewDeadLetter): void {
    if (tables.letters.some((known) => isSame(known, letter))) return;
    lastLetter += 1;
    tables.letters.push({ ...letter, id: String(lastLetter), createdAt: 0, replayRequested: false });
  }

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
    async list({ status, createdFrom = 0, createdBefore = Number.POSITIVE_INFINITY, after, limit }) {
      return [...tables.orders.values()]
        .map(({ order }) => order)
        .filter((order) => status === undefined || order.status === status)
        .filter(({ createdAt }) => createdAt >= createdFrom && createdAt < createdBefore)
        .filter((order) => !after || newestFirst(order, after) > 0)
        .sort(newestFirst)
        .slice(0, limit);
    },
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

  const deadLetters: DeadLetters & DeadLetterGroups = {
    async screen(consumer, eventIds, orderIds) {
      const seen = eventIds.filter((id) => tables.processed.has(`${consumer} ${id}`));
      const parked = tables.letters.filter((letter) => letter.consumer === consumer);
      return {
        seen: new Set(seen),
        parked: new Set(parked.map(({ orderId }) => orderId).filter((id) => orderIds.includes(id))),
      };
    },
    list: async ({ limit, after = '0', consumer }) =>
      tables.letters
        .filter(({ error, id }) => error !== undefined && Number(id) > Number(after))
        .filter((letter) => consumer === undefined || letter.consumer === consumer)
        .slice(0, limit),
    find: async (id) => tables.letters.find((letter) => letter.id === id),
    async requestReplay(id) {
      const asked = tables.letters.find((letter) => letter.id === id);
      if (asked) askFor(asked, true);
      return asked !== undefined;
    },
    async discard(id) {
      const gone = tables.letters.find((letter) => letter.id === id);
      if (!gone) return false;
      tables.letters = tables.letters.filter((letter) => letter !== gone);
      askFor(gone, true);
      return true;
    },
    async requestReplayOf(consumer) {
      const own = tables.letters.filter((letter) => letter.consumer === consumer);
      for (const letter of own) askFor(letter, true);
      return own.filter(({ error }) => error !== undefined).length;
    },
    async discardAllOf(consumer) {
      const isGone = (letter: Letter) => letter.consumer === consumer && letter.error !== undefined;
      const gone = tables.letters.filter(isGone);
      tables.letters = tables.letters.filter((letter) => !isGone(letter));
      return gone.length;
    },
    async requested(consumer) {
      const own = tables.letters.filter((letter) => letter.consumer === consumer);
      const orphan = (letter: Letter) =>
        letter.error === undefined && own.find(({ orderId }) => orderId === letter.orderId) === letter;
      const next = own.find((letter) => letter.replayRequested || orphan(letter));
      return own.filter(({ orderId }) => orderId === next?.orderId);
    },
    async recordFailure(letter, fault) {
      askFor(letter, false);
      tables.letters = tables.letters.map((kept) =>
        kept.id === letter.id ? { ...kept, error: fault, retryCount: kept.retryCount + 1 } : kept,
      );
    },
  };

  function askFor({ consumer, orderId }: NewDeadLetter, replayRequested: boolean): void {
    tables.letters = tables.letters.map((letter) =>
      letter.consumer === consumer && letter.orderId === orderId ? { ...letter, replayRequested } : letter,
    );
  }

  let paused = false;
  return {
    transactions: { run: (work) => exclusively(() => work(transaction)) },
    orders,
    orderSchedule,
    deadLetters,
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

function memoryBus(log: () => readonly Event[], append: (events: readonly Event[]) => void): MemoryBus {
  const cursors = new Map<Subscription, number>();
  return {
    get events() {
      return log();
    },
    async publish(events) {
      append(events);
    },
    async subscribe(subscription) {
      cursors.set(subscription, 0);
      return async () => void cursors.delete(subscription);
    },
    async deliver() {
      let busy = true;
      while (busy) {
        busy = false;
        for (const [subscription, from] of cursors) {
          const events = log().slice(from);
          if (events.length === 0) continue;
          busy = true;
          const deliveries = deliveriesOf(events, subscription);
          if (deliveries.length > 0) await subscription.handle({ deliveries, settle: async () => {} });
          cursors.set(subscription, from + events.length);
        }
      }
    },
    fault: () => undefined,
    faults: () => new Map(),
    async close() {
      cursors.clear();
    },
  };
}

function deliveriesOf(events: readonly Event[], { topics, types }: Subscription): Delivery[] {
  return events
    .filter(
      ({ eventType }) =>
        types.includes(eventType) && TOPICS[eventType].some((topic) => topics.includes(topic)),
    )
    .map((event) => deliveryOf(event, topics[0]));
}

/** An event as a consumer receives it from a topic: its record has passed through JSON. */
export function deliveryOf(event: Event, topic = TOPICS[event.eventType][0] ?? ''): Delivery {
  return {
    topic,
    key: event.orderId,
    position: event.eventId,
    record: JSON.parse(JSON.stringify(event)),
  };
}

function answerName({ principal, operation, key }: IdempotencyKey): string {
  return JSON.stringify([principal, operation, key]);
}

function isSame(a: NewDeadLetter, b: NewDeadLetter): boolean {
  return a.consumer === b.consumer && a.eventId === b.eventId;
}

function newestFirst(a: { createdAt: number; id: string }, b: { createdAt: number; id: string }): number {
  return b.createdAt - a.createdAt || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}

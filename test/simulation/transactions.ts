/** The transactions of the simulated database: orders, events, marks, cursors, dead letters and idempotency keys. */
import { TiffinError } from '../../internal/domain/errors.ts';
import type { Event } from '../../internal/domain/events.ts';
import type { Order } from '../../internal/domain/order.ts';
import { deadLetterTopic } from '../../internal/domain/topics.ts';
import {
  BEGINNING,
  type DeadLetter,
  type IdempotencyKey,
  type LogPosition,
  type NewDeadLetter,
  type StoredResponse,
  type Transaction,
  type Transactions,
} from '../../internal/service/ports.ts';
import type { Database, Session, SimulatedTransaction } from './database.ts';
import { type LogEntry, SERVER } from './event-table.ts';
import type { Scheduler } from './scheduler.ts';

export interface OrderRow {
  readonly order: Order;
  readonly fingerprint: string;
}

export interface SimulatedTransactions extends Transactions {
  /** Also gives `work` the session. */
  run<T>(work: (tx: Transaction, session: Session) => Promise<T>): Promise<T>;
}

/** Without `marks`, `claimEvents` remembers nothing. */
export function simulatedTransactions(
  simulation: Scheduler,
  db: Database,
  { marks }: { marks: boolean },
): SimulatedTransactions {
  const { call } = simulation;
  const orders = db.table<OrderRow>('orders');
  const processed = db.table<{ readonly consumer: string; readonly eventId: string }>('processed');
  const cursors = db.table<LogPosition>('cursors');
  const answers = db.table<StoredResponse>('answers');
  const letters = db.table<DeadLetter>('letters');
  let lastLetter = 0;

  async function addLetter(session: Session, letter: NewDeadLetter): Promise<void> {
    lastLetter += 1;
    const { key: _, ...row } = { ...letter, id: String(lastLetter), createdAt: simulation.now() };
    await db.insert(session, letters, `${letter.consumer} ${letter.eventId}`, row);
    if (letter.error !== undefined) db.append(session, [deadEntry(letter)]);
  }

  function transactionOf(session: Session): Transaction {
    const { statement } = db;
    const tx: SimulatedTransaction = {
      session,
      lockOrders: (ids) =>
        statement(session, 'lock orders', async () => {
          const rows = await db.lockRows(session, orders, ids);
          return new Map(rows.map(({ order }) => [order.id, order]));
        }),
      saveOrders: (changed) =>
        statement(session, 'save orders', async () => {
          for (const order of changed)
            await db.update(session, orders, order.id, (row) => ({ ...row, order }));
        }),
      appendEvents: async (events) => {
        if (events.length > 0)
          await statement(session, 'append events', () => db.append(session, events.map(toEntry)));
      },
      claimEvents: async (consumer, ids) => {
        if (ids.length === 0) return new Set();
        return statement(session, 'claim events', async () => {
          const claimed = new Set<string>();
          for (const eventId of [...ids].sort()) {
            const isNew = await db.insert(session, processed, `${consumer} ${eventId}`, {
              consumer,
              eventId,
            });
            if (isNew) claimed.add(eventId);
            if (isNew && !marks) await db.remove(session, processed, `${consumer} ${eventId}`);
          }
          return claimed;
        });
      },
      moveCursor: (consumer, from, to) =>
        statement(session, 'move cursor', async () => {
          const [at] = await db.lockRows(session, cursors, [consumer]);
          const isThere = at?.transactionId === from.transactionId && at.position === from.position;
          if (!isThere || (to.server ?? SERVER) !== SERVER)
            throw new TiffinError('UNAVAILABLE', `the cursor of ${consumer} was moved by another process`);
          await db.update(session, cursors, consumer, () => to);
        }),
      deadLetters: {
        async add(added) {
          if (added.length === 0) return;
          await statement(session, 'add dead letters', async () => {
            for (const letter of added) await addLetter(session, letter);
          });
        },
        remove: (id) =>
          statement(session, 'remove dead letter', async () => {
            const letter = db.all(letters, session).find((one) => one.id === id);
            if (letter) await db.remove(session, letters, `${letter.consumer} ${letter.eventId}`);
            return letter !== undefined;
          }),
      },
      idempotency: {
        find: (key) => statement(session, 'find answer', () => db.get(answers, nameOf(key), session)),
        save: (key, answer) =>
          statement(session, 'save answer', async () => {
            if (!(await db.insert(session, answers, nameOf(key), answer)))
              throw new TiffinError('IDEMPOTENCY_KEY_REUSED', 'the key was used at the same moment');
          }),
      },
    };
    return tx;
  }

  return {
    /** A fault hits the beginning of a transaction, one of its statements, or its end. */
    async run(work) {
      const session = await call('begin', () => db.begin());
      try {
        const result = await work(transactionOf(session), session);
        await call('commit', () => db.commit(session));
        return result;
      } catch (error) {
        if (session.isOpen) db.abort(session);
        throw error;
      }
    },
  };
}

/** The cursor of a consumer, which is made if it is missing. */
export function cursorIn(db: Database, consumer: string): LogPosition {
  const { rows } = db.table<LogPosition>('cursors');
  const cursor = rows.get(consumer) ?? { ...BEGINNING, server: SERVER };
  rows.set(consumer, cursor);
  return cursor;
}

export function toEntry(event: Event): LogEntry {
  return { type: event.eventType, key: event.orderId, record: event };
}

function deadEntry({
  consumer,
  orderId,
  key,
  topic,
  record,
  error = '',
  retryCount,
}: NewDeadLetter): LogEntry {
  return {
    type: 'dead-letter',
    key: key ?? orderId,
    topic: deadLetterTopic(topic),
    record,
    headers: {
      'x-retry-count': String(retryCount),
      'x-original-topic': topic,
      'x-error': error,
      'x-consumer': consumer,
    },
  };
}

export function nameOf({ principal, operation, key }: IdempotencyKey): string {
  return JSON.stringify([principal, operation, key]);
}

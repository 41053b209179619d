/** Tables of the event log and its consumers: events, cursors, handled events, dead letters. */
import { sql } from 'drizzle-orm';
import { check, index, integer, pgTable, primaryKey, text, unique, uuid, varchar } from 'drizzle-orm/pg-core';
import { bigint, identity, json, timestamptz, varcharC, xid8 } from './columns.ts';

export const events = pgTable(
  'events',
  {
    position: identity('position').notNull(),
    /** Readers stop at the oldest open transaction, so they never skip one that commits late. */
    transactionId: xid8('transaction_id').notNull().default(sql`pg_current_xact_id()`),
    /**
     * Null for an external record without an envelope. Not unique: an event may be published more than once, as on any
     * stream, and processed_events makes it take effect once.
     */
    eventId: uuid('event_id'),
    eventType: varchar('event_type', { length: 64 }).notNull(),
    orderId: varchar('order_id', { length: 64 }).notNull(),
    /** Set if the record goes to one topic only, instead of the topics of its event type. */
    topic: varchar('topic', { length: 128 }),
    record: json('record').notNull(),
    headers: json('headers').$type<Readonly<Record<string, string>>>(),
    storedAt: timestamptz('stored_at').notNull().default(sql`now()`),
  },
  (table) => [
    primaryKey({ name: 'events_pkey', columns: [table.transactionId, table.position] }),
    // For reads by topic: few rows have a topic of their own.
    index('events_on_topics').on(table.transactionId, table.position).where(sql`${table.topic} is not null`),
  ],
);

/** Fillfactor 20, since every batch updates its consumer's row. */
export const consumerCursors = pgTable('consumer_cursors', {
  consumer: varchar('consumer', { length: 128 }).primaryKey(),
  transactionId: xid8('transaction_id').notNull().default('0'),
  position: bigint('position').notNull().default(sql`0`),
  movedAt: timestamptz('moved_at').notNull().default(sql`now()`),
});

/** Handled events: each event takes effect once for each consumer. */
export const processedEvents = pgTable(
  'processed_events',
  {
    consumer: varcharC('consumer', { length: 128 }).notNull(),
    /** An external id that is no UUID is stored as the UUID version 5 derived from it. */
    eventId: uuid('event_id').notNull(),
    processedAt: timestamptz('processed_at').notNull().default(sql`now()`),
  },
  (table) => [
    primaryKey({ name: 'processed_events_pkey', columns: [table.consumer, table.eventId] }),
    index('processed_events_by_age').using('brin', table.processedAt),
  ],
);

/** Dead letters (with an error) and the events parked behind them (without), in the order of their ids. */
export const deadLetters = pgTable(
  'dead_letters',
  {
    id: identity('id').primaryKey(),
    consumer: varchar('consumer', { length: 128 }).notNull(),
    eventId: varchar('event_id', { length: 128 }).notNull(),
    orderId: varchar('order_id', { length: 64 }).notNull(),
    topic: varchar('topic', { length: 128 }).notNull(),
    record: json('record').notNull(),
    error: text('error'),
    retryCount: integer('retry_count').notNull().default(0),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
    replayRequestedAt: timestamptz('replay_requested_at'),
  },
  (table) => [
    check('dead_letters_retry_count_check', sql`${table.retryCount} >= 0`),
    unique('dead_letters_consumer_event_id_key').on(table.consumer, table.eventId),
    index('dead_letters_by_order').on(table.consumer, table.orderId, table.id),
  ],
);

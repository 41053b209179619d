/** The scheduler's ports: the orders that wait for their time, and the operator's switch; ports.ts has the glossary. */
import type { Order, OrderId } from '../../domain/order.ts';
import type { TimerKind } from '../../domain/schedule.ts';
import type { Transaction } from '../ports.ts';

/** An order that waits for its time, or one of its timers. */
export interface Waiting {
  readonly orderId: OrderId;
  /** Absent where the order itself waits. */
  readonly kind?: TimerKind;
  /** Epoch ms. */
  readonly dueAt: number;
}

/** What Postgres knows of the orders' times: the due queue is an index of it. */
export interface OrderSchedule {
  /** Orders that are still to be dispatched, nearest due first, in pages; due within [from, to), epoch ms. */
  waiting(window: { from: number; to: number }): AsyncIterable<Waiting[]>;
  /** Of these orders, the ones that are still to be dispatched. */
  stillWaiting(ids: readonly OrderId[]): Promise<Waiting[]>;
  /** Orders between PROCESSING and their end, in pages. */
  inFlight(): AsyncIterable<Order[]>;
}

export type ScheduleState = 'running' | 'paused' | 'lost';

/** What one pass took under lease. */
export interface Claim {
  readonly state: ScheduleState;
  /** Redis's own time, epoch ms. */
  readonly now: number;
  /** Names the lease; an order that was rescheduled meanwhile no longer carries it. */
  readonly lease: string;
  readonly due: readonly Waiting[];
  /** Claimed before and never acknowledged; their due time must be looked up. */
  readonly redelivered: readonly OrderId[];
  /** Timers that have run out; one that was claimed before is due now. */
  readonly timers: readonly (Waiting & { readonly kind: TimerKind })[];
  /** Epoch ms by Redis's clock of the earliest that is left; undefined when nothing waits. */
  readonly nextDueAt: number | undefined;
  /** As many as one pass may take: there may be more. */
  readonly full: boolean;
}
export interface DueQueue {
  /** Adds or moves orders; with `onlyMissing` an order that is already there stays as it is. Returns how many were added. */
  schedule(waiting: readonly Waiting[], options?: { onlyMissing: boolean }): Promise<number>;
  /** Takes out orders, or their timers of one kind. */
  remove(ids: readonly OrderId[], kind?: TimerKind): Promise<void>;
  /** Leases what is due, at most `limit`, from one shard. */
  claim(shard: number, limit: number): Promise<Claim>;
  /** Removes what was claimed under the lease, but for orders that were rescheduled meanwhile. */
  acknowledge(shard: number, lease: string): Promise<void>;
  /** Says that the queue is complete, and whether it may dispatch; with `ifComplete` a lost queue stays lost. */
  setState(state: 'running' | 'paused', options?: { ifComplete: boolean }): Promise<void>;
  /** Puts down a mark that is lost with all else; what it returns takes it up again, and tells whether it was still there. */
  mark(): Promise<() => Promise<boolean>>;
  /** How many wait, and how many of those are due, by Redis's clock. */
  size(): Promise<{ waiting: number; due: number }>;
  readonly shards: number;
}
/** The operator's switch; it outlives Redis. */
export interface SchedulerSwitch {
  isPaused(): Promise<boolean>;
  setPaused(paused: boolean): Promise<void>;
}

export interface Timer {
  readonly orderId: OrderId;
  /** A deadline follows from the order itself and is not stored. */
  readonly kind: Exclude<TimerKind, 'deadline'>;
  /** Epoch ms. */
  readonly dueAt: number;
}

/** Timers in Postgres, which the due queue is an index of; one of a kind for each order. */
export interface Timers {
  /** Sets or moves them; the caller schedules them once this is stored, and what is lost in between reconciling adds. */
  set(tx: Transaction, timers: readonly Timer[]): Promise<void>;
  clear(tx: Transaction, timers: readonly Pick<Timer, 'orderId' | 'kind'>[]): Promise<void>;
  /** Due within [from, to), epoch ms, nearest first, in pages. */
  waiting(window: { from: number; to: number }): AsyncIterable<Timer[]>;
}

/** The scheduler's ports: the due queue in Redis, the orders and timers in Postgres behind it, and the pause switch. */
import type { Order, OrderId } from '../../domain/order.ts';
import type { TimerKind } from '../../domain/schedule.ts';
import type { Transaction } from '../ports.ts';

/** A member of the due queue: an order that waits for its due time, or a timer of an order. */
export interface Waiting {
  readonly orderId: OrderId;
  /** Absent for the order itself. */
  readonly kind?: TimerKind;
  /** Epoch ms. */
  readonly dueAt: number;
}

/** The due times of orders in Postgres; the due queue is an index of them. */
export interface OrderSchedule {
  /** Orders that are still to be dispatched and due within [from, to), epoch ms; nearest due first, in pages. */
  waiting(window: { from: number; to: number }): AsyncIterable<Waiting[]>;
  /** Those of the orders that are still to be dispatched. */
  stillWaiting(ids: readonly OrderId[]): Promise<Waiting[]>;
  /** All orders that were started and have not ended, in pages. */
  inFlight(): AsyncIterable<Order[]>;
}

/** `lost`: Redis has lost the queue or writes to it, and it is not rebuilt yet. */
export type ScheduleState = 'running' | 'paused' | 'lost';

/** The members that one pass has claimed from one shard, under one lease. */
export interface Claim {
  readonly state: ScheduleState;
  /** Redis's own time, epoch ms. */
  readonly now: number;
  /** When the lease ends, epoch ms as text; the number identifies it. A member that was rescheduled since is no longer part of it. */
  readonly lease: string;
  /** Orders that were claimed for the first time. */
  readonly due: readonly Waiting[];
  /** Orders whose earlier lease expired unacknowledged; their due time must be looked up. */
  readonly redelivered: readonly OrderId[];
  /** Timers that have run out; for one that was claimed before, `dueAt` is the time of this claim. */
  readonly timers: readonly (Waiting & { readonly kind: TimerKind })[];
  /** The earliest due time of the remaining members, epoch ms; undefined if there are none. */
  readonly nextDueAt: number | undefined;
  /** True if `limit` members were claimed, so that more may be due. */
  readonly full: boolean;
}

/** The due queue in Redis: orders and timers, sorted by due time. */
export interface DueQueue {
  /**
   * Adds or moves members; with `onlyMissing` a member that is in the queue stays as it is, unless `orEarlier` is set and
   * it waits for a later time. Returns how many were added; with `orEarlier` also those that were moved.
   */
  schedule(
    waiting: readonly Waiting[],
    options?: { onlyMissing: boolean; orEarlier?: boolean },
  ): Promise<number>;
  /** Removes orders, or with `kind` their timers of that kind. */
  remove(ids: readonly OrderId[], kind?: TimerKind): Promise<void>;
  /** Claims up to `limit` due members of one shard, under a lease. */
  claim(shard: number, limit: number): Promise<Claim>;
  /** Removes the members of the lease, except those that were rescheduled since, and remembers what was sent for a while. */
  acknowledge(shard: number, lease: string, sent?: readonly Waiting[]): Promise<void>;
  /** Those that are neither in the queue nor remembered as sent for the same due time. */
  missing(waiting: readonly Waiting[]): Promise<Waiting[]>;
  /** Declares the queue complete, and running or paused; with `ifComplete` a lost queue stays lost. */
  setState(state: 'running' | 'paused', options?: { ifComplete: boolean }): Promise<void>;
  /** The returned function resolves to false if Redis has meanwhile lost writes of this process. */
  mark(): Promise<() => Promise<boolean>>;
  /** The number of members, and of those that are due by Redis's clock. */
  size(): Promise<{ waiting: number; due: number }>;
  readonly shards: number;
}

/** The operator's pause switch, stored in Postgres. */
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

/** Timers in Postgres, one of each kind for an order; the due queue is an index of them. */
export interface Timers {
  /** Sets or moves timers. The caller adds them to the due queue after the commit; the reconciler adds those that are missing. */
  set(tx: Transaction, timers: readonly Timer[]): Promise<void>;
  clear(tx: Transaction, timers: readonly Pick<Timer, 'orderId' | 'kind'>[]): Promise<void>;
  /** Until when the orders' timers of this kind run, epoch ms; an order without one is absent. */
  dueAt(tx: Transaction, kind: Timer['kind'], ids: readonly OrderId[]): Promise<Map<OrderId, number>>;
  /** Timers that are due within [from, to), epoch ms; nearest due first, in pages. */
  waiting(window: { from: number; to: number }): AsyncIterable<Timer[]>;
}

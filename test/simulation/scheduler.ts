/** Orders every await of the simulated processes by a seed, on one manual clock, and injects faults at the calls of ports. */
import { TiffinError } from '../../internal/domain/errors.ts';
import { NOON } from '../support/manual-clock.ts';
import { mix, random } from './random.ts';
import { type VirtualTime, withVirtualTime } from './virtual-time.ts';

/** A process of the system. What it holds in memory is lost when it crashes. */
export interface Process {
  readonly name: string;
  /** Raised by each crash; work of an older life never continues. */
  life: number;
  isAlive: boolean;
  /** How far its clock is from the servers', milliseconds. */
  skewMs: number;
  /** A process that was stopped continues at this time. */
  pausedUntil: number;
}

/**
 * `crash`: the process dies before the call arrives, or before it hears of the outcome (`crash-after`). `away`: the call
 * fails without effect. `lost`: it takes effect and its acknowledgement is lost. `slow`: it arrives seconds later. `pause`:
 * the process stops for longer than a lease. `flush`: Redis loses everything. `again`: a record is delivered twice.
 */
export type Fault = 'crash' | 'crash-after' | 'away' | 'lost' | 'slow' | 'pause' | 'flush' | 'again';

/** Which calls get a fault: by chance, or exactly these, by the number of the call. */
export type Faults =
  | { readonly seed: number; readonly share: number; readonly kinds: readonly Fault[] }
  | { readonly at: ReadonlyMap<number, Fault> };

export interface CallOptions {
  /** False for a call that cannot fail, such as one of the process itself. */
  readonly canFail?: boolean;
  /** True for a call that may arrive twice. */
  readonly canRepeat?: boolean;
}

export interface Scheduler {
  readonly now: () => number;
  readonly current: () => Process;
  readonly process: (name: string, skewMs?: number) => Process;
  /** Resolves later, in the life of the current process. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Runs `work` later as this process, unless that has died by then; the returned function cancels it. */
  readonly later: (owner: Process, ms: number, work: () => void) => () => void;
  /** A call of the current process to a server: it travels, takes effect at once, and its answer travels back. */
  readonly call: <T>(name: string, effect: () => T | Promise<T>, options?: CallOptions) => Promise<T>;
  /** A message on its way: a short time that the seed decides. */
  readonly latency: () => number;
  readonly crash: (process: Process) => void;
  readonly onCrash: (listener: (process: Process) => void) => void;
  readonly onFault: (kind: 'flush', listener: () => void) => void;
  /** Faults that were injected, by the number of the call. */
  readonly injected: ReadonlyMap<number, { readonly fault: Fault; readonly call: string }>;
  /** Ends the injection of faults. */
  calm(): void;
  /** Runs until `isOver`, or nothing is left to do. */
  run(isOver: () => boolean): Promise<void>;
}

interface Item {
  readonly due: number;
  readonly rank: number;
  readonly owner: Process;
  readonly life: number;
  readonly work: () => void;
  isCancelled?: boolean;
}

const SLOW_MS = [2_000, 7_000] as const;
const PAUSE_MS = [6_000, 14_000] as const;

export function scheduler(seed: number, faults: Faults): Scheduler {
  const chance = random(seed);
  const outside: Process = { name: 'outside', life: 0, isAlive: true, skewMs: 0, pausedUntil: 0 };
  const crashListeners: ((process: Process) => void)[] = [];
  const flushListeners: (() => void)[] = [];
  const injected = new Map<number, { fault: Fault; call: string }>();
  let queue: Item[] = [];
  let now = NOON;
  let current = outside;
  /** The life of the current process in which the turn began. */
  let life = 0;
  let calls = 0;
  let isCalm = false;

  function add(owner: Process, ms: number, work: () => void): Item {
    // After a crash the rest of the turn still runs, and whatever it wants belongs to the life that has ended.
    const ownLife = owner === current ? life : owner.life;
    const item: Item = { due: now + Math.max(0, ms), rank: chance.next(), owner, life: ownLife, work };
    let low = 0;
    let high = queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = queue[middle] as Item;
      // The queue is sorted from the latest to the earliest, so that the next item is taken from its end.
      if (other.due > item.due || (other.due === item.due && other.rank > item.rank)) low = middle + 1;
      else high = middle;
    }
    queue.splice(low, 0, item);
    return item;
  }

  const sleep = (ms: number) => new Promise<void>((resolve) => void add(current, ms, resolve));
  /** Most messages take a millisecond or two, so that many calls are under way at a time. */
  const latency = () => (chance.chance(0.9) ? chance.integer(0, 2) : chance.integer(3, 60));

  function faultOf(call: string, { canFail = true, canRepeat = false }: CallOptions): Fault | undefined {
    calls += 1;
    if (isCalm) return undefined;
    let fault: Fault | undefined;
    if ('at' in faults) fault = faults.at.get(calls);
    else {
      const drawn = mix(faults.seed ^ Math.imul(calls, 0x9e3779b1));
      if (drawn / 2 ** 32 < faults.share) fault = faults.kinds[mix(drawn) % faults.kinds.length];
    }
    const isImpossible = fault === 'again' ? !canRepeat : !canFail && (fault === 'away' || fault === 'lost');
    if (!fault || isImpossible) return undefined;
    injected.set(calls, { fault, call: `${current.name} ${call}` });
    return fault;
  }

  function crash(process: Process): void {
    process.life += 1;
    process.isAlive = false;
    queue = queue.filter(({ owner }) => owner !== process);
    const [crashed, lifeBefore] = [current, life];
    enter(outside);
    for (const listener of crashListeners) listener(process);
    [current, life] = [crashed, lifeBefore];
  }

  function enter(process: Process): void {
    current = process;
    life = process.life;
  }

  async function call<T>(name: string, effect: () => T | Promise<T>, options: CallOptions = {}): Promise<T> {
    const fault = faultOf(name, options);
    const self = current;
    if (fault === 'flush') for (const listener of flushListeners) listener();
    if (fault === 'pause') self.pausedUntil = now + chance.integer(...PAUSE_MS);
    await sleep(fault === 'slow' ? chance.integer(...SLOW_MS) : latency());
    if (fault === 'crash') {
      crash(self);
      return new Promise<never>(() => {});
    }
    if (fault === 'away') throw new TiffinError('UNAVAILABLE', `${name} is away`);
    const result = await effect();
    if (fault === 'again') await effect();
    if (fault === 'crash-after') {
      crash(self);
      return new Promise<never>(() => {});
    }
    await sleep(latency());
    if (fault === 'lost') throw new TiffinError('UNAVAILABLE', `the answer of ${name} was lost`);
    return result;
  }

  function later(owner: Process, ms: number, work: () => void): () => void {
    const item = add(owner, ms, work);
    return () => {
      item.isCancelled = true;
    };
  }

  const time: VirtualTime = { now: () => now - NOON, setTimer: (ms, work) => later(current, ms, work) };

  /** False if the owner of the item is paused. */
  function begin(item: Item): boolean {
    const { owner } = item;
    now = Math.max(now, item.due);
    if (owner.pausedUntil > now) {
      add(owner, owner.pausedUntil - now, () => item.isCancelled || item.work());
      return false;
    }
    enter(owner);
    item.work();
    return true;
  }

  /** Turn by turn; everything that follows from one runs before the next, and no promise of the loop itself is in between. */
  function runUntil(isOver: () => boolean, end: () => void, fail: (error: unknown) => void): void {
    const next = () => {
      enter(outside);
      try {
        for (let item = queue.pop(); item && !isOver(); item = queue.pop())
          if (!item.isCancelled && item.owner.life === item.life && begin(item)) return afterAll(next);
        end();
      } catch (error) {
        fail(error);
      }
    };
    next();
  }

  return {
    now: () => now,
    current: () => current,
    process: (name, skewMs = 0) => ({ name, life: 0, isAlive: true, skewMs, pausedUntil: 0 }),
    sleep,
    later,
    call,
    latency,
    crash,
    onCrash: (listener) => void crashListeners.push(listener),
    onFault: (_kind, listener) => void flushListeners.push(listener),
    injected,
    calm() {
      isCalm = true;
    },
    run: (isOver) =>
      withVirtualTime(time, () => new Promise((resolve, reject) => runUntil(isOver, resolve, reject))),
  };
}

/** Calls `next` when no promise is left to settle: Node runs the ticks after all of them, without a turn of its event loop. */
function afterAll(next: () => void): void {
  // From a tick itself the next tick would come before the promises.
  process.nextTick(queueMicrotask, next);
}

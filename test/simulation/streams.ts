/** The two streams, on the simulated servers: the event log in the database, and a broker with topics and groups. */
import { backoffMs } from '../../internal/domain/retry.ts';
import type { Log } from '../../internal/service/ports.ts';
import type {
  Delivery,
  EventBus,
  EventLog,
  OutgoingRecord,
  RecordSink,
  Subscription,
} from '../../internal/service/stream/ports.ts';
import { eventRecords } from '../../internal/service/stream/relay-events.ts';
import { postgresBus } from '../../internal/transport/events/postgres-bus.ts';
import type { Database } from './database.ts';
import type { OrderStores } from './order-stores.ts';
import type { Process, Scheduler } from './scheduler.ts';

/** A reader that has read everything waits this long, unless something is appended. */
const IDLE_MS = 20_000;
/** A member of a group that says nothing for this long loses its place. */
const SESSION_MS = 6_000;
/** The largest batch that a group's member fetches. */
const FETCH = 20;

/** Wakes waiting processes, each in its own time. */
function bell(simulation: Scheduler) {
  const waiting = new Set<() => void>();
  return {
    ring() {
      for (const wake of [...waiting]) wake();
    },
    /** Resolves after the next ring, or after a while. */
    wait(ms: number): Promise<void> {
      const owner = simulation.current();
      const { life } = owner;
      return new Promise((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          giveUp();
          if (owner.life === life) simulation.later(owner, simulation.latency(), resolve);
        };
        waiting.add(wake);
        const giveUp = simulation.later(owner, ms, () => {
          waiting.delete(wake);
          resolve();
        });
      });
    },
  };
}

/** Which process reads for a consumer: the first that asks, until it dies, or with `sessionMs` falls silent for longer. */
function leaders(simulation: Scheduler, sessionMs = Number.POSITIVE_INFINITY) {
  const holders = new Map<string, Process>();
  const freed = bell(simulation);
  simulation.onCrash((process) => {
    for (const [name, holder] of holders) if (holder === process) holders.delete(name);
    freed.ring();
  });
  const isSilent = ({ pausedUntil }: Process) => pausedUntil - simulation.now() > sessionMs;
  const holds = (name: string, process: Process) => holders.get(name) === process;
  return {
    holds,
    /** True if the current process leads; else it waits a while. */
    async lead(name: string): Promise<boolean> {
      const self = simulation.current();
      const holder = holders.get(name);
      if (!holder || isSilent(holder)) holders.set(name, self);
      if (holds(name, self)) return true;
      await freed.wait(IDLE_MS);
      return holds(name, self);
    },
    resign(name: string) {
      holders.delete(name);
      freed.ring();
    },
  };
}

/** The event log of the simulated database, as every process sees it. */
export function simulatedLog(simulation: Scheduler, db: Database, stores: OrderStores): EventLog {
  const leading = leaders(simulation);
  const appended = bell(simulation);
  db.onAppend(() => appended.ring());
  return {
    append: (events) => stores.transactions.run(async (tx) => tx.appendEvents(events)),
    cursor: stores.cursorOf,
    async read(from, filter, limit) {
      const page = await simulation.call('read log', () => db.readLog(from, filter, limit));
      const hasNews = page.deliveries.length > 0 || page.to.position !== from.position;
      if (hasNews) return page;
      await appended.wait(page.held ? 1_000 : IDLE_MS);
      return db.readLog(from, filter, limit);
    },
    lead: leading.lead,
    resign: async (name) => leading.resign(name),
    onAppend: () => () => {},
    close: async () => {},
  };
}

export interface Stream extends RecordSink {
  readonly bus: EventBus;
}

/** The stream in the database. */
export function logStream(eventLog: EventLog, stores: OrderStores, log: Log): Stream {
  return { bus: postgresBus({ eventLog, transactions: stores.transactions, log }), send: async () => {} };
}

/** A broker: each topic keeps its records in order, and each group remembers how far it has read. */
export function brokerStream(simulation: Scheduler): Stream {
  const topics = new Map<string, Delivery[]>();
  const offsets = new Map<string, number>();
  const members = leaders(simulation, SESSION_MS);
  const appended = bell(simulation);

  function append(records: readonly OutgoingRecord[]): void {
    for (const { topic, key, value, headers } of records) {
      const log = topics.get(topic) ?? [];
      topics.set(topic, log);
      const record = JSON.parse(JSON.stringify(value));
      log.push({ topic, key, position: `0-${log.length}`, record, headers });
    }
    appended.ring();
  }
  const send = (records: readonly OutgoingRecord[]) =>
    simulation.call('send', () => append(records), { canRepeat: true });

  async function round({ group, topics: names, types, handle, batchSize = FETCH }: Subscription) {
    const self = simulation.current();
    if (!(await members.lead(group))) return;
    const at = (topic: string) => offsets.get(`${group} ${topic}`) ?? 0;
    const topic = names.find((name) => (topics.get(name)?.length ?? 0) > at(name));
    if (!topic) return appended.wait(IDLE_MS);
    const from = at(topic);
    const records = await simulation.call('fetch', () =>
      (topics.get(topic) ?? []).slice(from, from + Math.min(FETCH, batchSize)),
    );
    const wanted = records.filter(
      ({ headers: { eventType } = {} }) => !eventType || types.includes(eventType),
    );
    if (wanted.length > 0) await handle({ deliveries: wanted, settle: async () => {} });
    await simulation.call('commit offset', () => {
      if (members.holds(group, self)) offsets.set(`${group} ${topic}`, from + records.length);
    });
  }

  const bus: EventBus = {
    publish: (events) => send(events.flatMap((event) => eventRecords(event))),
    async subscribe(subscription) {
      const self = simulation.current();
      let isLeaving = false;
      const reading = (async () => {
        for (let failures = 0; !isLeaving; )
          try {
            await round(subscription);
            failures = 0;
          } catch {
            failures += 1;
            await simulation.sleep(backoffMs(failures));
          }
        if (members.holds(subscription.group, self)) members.resign(subscription.group);
      })();
      return async () => {
        isLeaving = true;
        appended.ring();
        await reading;
      };
    },
    fault: () => undefined,
    faults: () => new Map(),
    close: async () => {},
  };
  return { bus, send };
}

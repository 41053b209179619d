/** Loaded into a process of Tiffin before the program: as messages ask, kills it at a call of a driver, or hands records over late. */
import { subscribe } from 'node:diagnostics_channel';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import kafkajs from 'kafkajs';
import pg from 'pg';
import type { DiagnosticsChannel } from 'undici';
import type { Call } from './faults/kill-points.ts';

export interface Message {
  readonly kill?: { readonly call: Call; readonly nth: number } | 'never';
  readonly hold?: { readonly upToMs: number; readonly forMs: number };
}

const LOG_READS = /^read-(events|topics)$/;
const HEARTBEAT_MS = 500;
/** What undici announces: a request that it is about to send, and the end of its answer. */
const HTTP = { before: 'undici:request:create', after: 'undici:request:trailers' } as const;

let armed: (Call & { left: number }) | undefined;
let held = { upToMs: 0, until: 0 };

process.on('message', ({ kill, hold }: Message) => {
  if (kill) armed = kill === 'never' ? undefined : { ...kill.call, left: kill.nth };
  if (hold) held = { upToMs: hold.upToMs, until: performance.now() + hold.forMs };
});
// The channel must not keep the process alive.
process.channel?.unref();

/** Counts the call, and does not return from the last one. */
function pass(driver: Call['driver'], when: Call['when'], subject: string): void {
  if (armed?.driver !== driver || armed.when !== when || !new RegExp(armed.match, 'i').test(subject)) return;
  armed.left -= 1;
  if (armed.left === 0) process.kill(process.pid, 'SIGKILL');
}

/** How late the next records are, ms. */
const lateness = () => (performance.now() < held.until ? Math.random() * held.upToMs : 0);

// biome-ignore lint/suspicious/noExplicitAny: wraps methods of any signature
type Method = (this: any, ...args: any[]) => any;

function wrap(
  owner: object,
  name: string,
  driver: Call['driver'],
  subjectOf: (...args: never[]) => string,
): void {
  const methods = owner as Record<string, Method>;
  const original = methods[name] as Method;
  methods[name] = function (...args) {
    const subject = subjectOf(...(args as never[]));
    const lateMs = driver === 'pg' && LOG_READS.test(subject) ? lateness() : 0;
    if (armed?.driver !== driver && lateMs === 0) return original.apply(this, args);
    pass(driver, 'before', subject);
    const last = args.length - 1;
    const callback = args[last];
    if (typeof callback === 'function')
      args[last] = (...results: unknown[]) => {
        if (!results[0]) pass(driver, 'after', subject);
        if (lateMs > 0) setTimeout(callback, lateMs, ...results);
        else callback(...results);
      };
    const result = original.apply(this, args);
    return typeof result?.then === 'function'
      ? result.then(async (value: unknown) => {
          pass(driver, 'after', subject);
          if (lateMs > 0) await pause(lateMs);
          return value;
        })
      : result;
  };
}

wrap(pg.Client.prototype, 'query', 'pg', (query: string | { name?: string; text?: string }) =>
  typeof query === 'string' ? query : (query.name ?? query.text ?? ''),
);
wrap(Redis.prototype, 'sendCommand', 'redis', (command: { name: string }) => command.name);
for (const [when, channel] of Object.entries(HTTP))
  subscribe(channel, (message) => {
    const { request } = message as DiagnosticsChannel.RequestCreateMessage;
    pass('http', when as keyof typeof HTTP, request.path);
  });

const kafka = kafkajs.Kafka.prototype as unknown as Record<'producer' | 'consumer', Method>;
const { producer, consumer } = kafka;
kafka.producer = function (...args) {
  const made = producer.apply(this, args);
  wrap(made, 'sendBatch', 'kafka send', () => '');
  return made;
};
kafka.consumer = function (...args) {
  const made = consumer.apply(this, args);
  const { run } = made;
  made.run = (config: { eachBatch: Method }) =>
    run({
      ...config,
      async eachBatch(payload: { heartbeat(): Promise<void> }) {
        // Each partition waits by itself, so that records of several come out of order.
        for (
          const until = performance.now() + lateness();
          performance.now() < until;
          await pause(HEARTBEAT_MS)
        )
          await payload.heartbeat();
        const passed = { ...payload };
        wrap(passed, 'commitOffsetsIfNecessary', 'kafka commit', () => '');
        return config.eachBatch(passed);
      },
    });
  return made;
};

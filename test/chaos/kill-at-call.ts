/** Loaded into a process of Tiffin before the program: kills it at a call of a driver that a message names. */
import { Redis } from 'ioredis';
import kafkajs from 'kafkajs';
import pg from 'pg';
import type { Call } from './kill-points.ts';

interface Armed extends Call {
  left: number;
}

let armed: Armed | undefined;

process.on('message', ({ call, nth }: { call: Call; nth: number }) => {
  armed = { ...call, left: nth };
});
// The channel must not keep the process alive.
process.channel?.unref();

/** Counts the call, and does not return from the last one. */
function pass(driver: Call['driver'], when: Call['when'], subject: string): void {
  if (armed?.driver !== driver || armed.when !== when || !new RegExp(armed.match, 'i').test(subject)) return;
  armed.left -= 1;
  if (armed.left === 0) process.kill(process.pid, 'SIGKILL');
}

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
    if (armed?.driver !== driver) return original.apply(this, args);
    const subject = subjectOf(...(args as never[]));
    pass(driver, 'before', subject);
    const last = args.length - 1;
    const callback = args[last];
    if (typeof callback === 'function')
      args[last] = (...results: unknown[]) => {
        if (!results[0]) pass(driver, 'after', subject);
        return callback(...results);
      };
    const result = original.apply(this, args);
    return typeof result?.then === 'function'
      ? result.then((value: unknown) => {
          pass(driver, 'after', subject);
          return value;
        })
      : result;
  };
}

wrap(pg.Client.prototype, 'query', 'pg', (query: string | { name?: string; text?: string }) =>
  typeof query === 'string' ? query : (query.name ?? query.text ?? ''),
);
wrap(Redis.prototype, 'sendCommand', 'redis', (command: { name: string }) => command.name);
wrap(globalThis, 'fetch', 'fetch', (url: string | URL) => String(url));

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
      eachBatch(payload: object) {
        const passed = { ...payload };
        wrap(passed, 'commitOffsetsIfNecessary', 'kafka commit', () => '');
        return config.eachBatch(passed);
      },
    });
  return made;
};

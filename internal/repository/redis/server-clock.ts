/** The one clock of an installation: Redis's, which decides what is due. The clock of the machine is not used. */
import { Cluster, type Redis } from 'ioredis';
import type { Clock, Log } from '../../service/ports.ts';
import { within } from '../../service/time-limit.ts';
import { asUnavailable } from './connection.ts';

const EVERY_MS = 5_000;
/** How long the start waits for Redis; then the clock of the database is used until Redis answers. */
const FIRST_LIMIT_MS = 1_000;
/** A difference of the machine's clock that is worth a warning. */
const NOTABLE_MS = 1_000;

const TIME = "return redis.call('TIME')";

export interface ServerClock extends Clock {
  close(): void;
}

/** Measures the distance of Redis's clock from this process's monotonic clock, at the start, regularly and after a reconnection. */
export async function serverClock(
  redis: Redis | Cluster,
  /** A key of the schedule; in a cluster the node that holds it has the one clock. */
  key: string,
  timeOfDatabase: () => Promise<number>,
  log: Log,
): Promise<ServerClock> {
  let offset: number | undefined;

  async function measure(ask: () => Promise<number>): Promise<void> {
    const asked = performance.now();
    const time = await ask();
    const answered = performance.now();
    // The server read its clock at some moment between the two, so the offset is within these bounds. One that is within
    // them already is kept: a slow answer, whose bounds are wide, does not move the clock.
    const [least, most] = [time - answered, time - asked];
    offset = offset === undefined ? (least + most) / 2 : Math.min(Math.max(offset, least), most);
  }
  // While Redis is away the last offset stays in use.
  const follow = () => void measure(() => timeOf(redis, key)).catch(() => {});

  await within(
    FIRST_LIMIT_MS,
    readiness(redis).then(() => measure(() => timeOf(redis, key))),
    'Redis',
  ).catch(() => measure(timeOfDatabase));
  const now = () => Math.floor(performance.now() + (offset as number));
  const aheadMs = Date.now() - now();
  if (Math.abs(aheadMs) > NOTABLE_MS)
    log.warn(
      { aheadMs },
      'the clock of this machine differs from that of the servers, which is used instead',
    );
  redis.on('ready', follow);
  const timer = setInterval(follow, EVERY_MS).unref();
  return {
    now,
    close() {
      clearInterval(timer);
      redis.off('ready', follow);
    },
  };
}

async function readiness(redis: Redis | Cluster): Promise<void> {
  if (redis.status !== 'ready') await new Promise<void>((resolve) => redis.once('ready', resolve));
}

/** Epoch milliseconds, with a fraction. */
async function timeOf(redis: Redis | Cluster, key: string): Promise<number> {
  // TIME itself has no key, so a cluster would answer with the clock of any node.
  const asked = redis instanceof Cluster ? redis.eval(TIME, 1, key) : redis.time();
  const [seconds, micros] = (await asUnavailable(asked)) as (number | string)[];
  return Number(seconds) * 1_000 + Number(micros) / 1_000;
}

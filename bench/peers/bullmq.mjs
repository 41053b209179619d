// BullMQ at its fastest documented settings: node bullmq.mjs enqueue|drain <redis url> <jobs>. Prints { perSecond }.
// Enqueue: addBulk of delayed jobs, 1,000 a call, four calls at a time. Drain: all jobs wait before the start; several
// workers have a high concurrency, and completed jobs are removed (https://docs.bullmq.io/guide/workers/concurrency, auto-removal-of-jobs).
// ioredis comes from the product's dependencies, one directory up.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Queue, Worker } from 'bullmq';

const BATCH = 1_000;
const UNDER_WAY = 4;
const WARM_UP = 10_000;
// One process with four workers of 100 was the fastest on two cores: 22,700/s; 1 × 1 × 250: 14,000, 2 × 1 × 250: 19,200,
// 2 × 2 × 250: 18,200, 2 × 4 × 50: 17,300.
const PROCESSES = 1;
const WORKERS = 4;
const CONCURRENCY = 100;

const [task, url, count] = process.argv.slice(2);
const total = Number(count);
const { hostname, port } = new URL(url);
const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null };
const NAME = 'orders';

if (task === 'work') work();
else if (task === 'enqueue') await enqueueOnly();
else await drain();

async function fill(queue, jobs, options) {
  let next = 0;
  const filler = async () => {
    while (next < jobs) {
      const from = next;
      next += BATCH;
      const size = Math.min(BATCH, jobs - from);
      await queue.addBulk(
        Array.from({ length: size }, () => ({
          name: 'ready',
          data: { orderId: crypto.randomUUID() },
          opts: { removeOnComplete: true, removeOnFail: true, ...options },
        })),
      );
    }
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, filler));
}

async function enqueueOnly() {
  const queue = new Queue(NAME, { connection });
  await queue.waitUntilReady();
  await fill(queue, WARM_UP, { delay: 3_600_000 });
  const started = performance.now();
  await fill(queue, total, { delay: 3_600_000 });
  const seconds = (performance.now() - started) / 1000;
  await queue.obliterate({ force: true });
  await queue.close();
  console.log(JSON.stringify({ perSecond: total / seconds }));
}

async function drain() {
  const queue = new Queue(NAME, { connection });
  const children = Array.from({ length: PROCESSES }, () => fork(process.argv[1], ['work', url, '0']));
  await Promise.all(children.map((child) => once(child, 'message')));
  await drainOnce(queue, children, WARM_UP);
  const seconds = await drainOnce(queue, children, total);
  for (const child of children) child.kill();
  await queue.obliterate({ force: true });
  await queue.close();
  console.log(JSON.stringify({ perSecond: total / seconds }));
}

/** Seconds from resuming the queue until all jobs are done. */
async function drainOnce(queue, children, jobs) {
  await queue.pause();
  await fill(queue, jobs, {});
  let done = 0;
  const { promise, resolve } = Promise.withResolvers();
  const count = (message) => {
    done += message.done;
    if (done >= jobs) resolve();
  };
  for (const child of children) child.on('message', count);
  const started = performance.now();
  await queue.resume();
  await promise;
  const seconds = (performance.now() - started) / 1000;
  for (const child of children) child.off('message', count);
  return seconds;
}

function work() {
  let done = 0;
  for (let n = 0; n < WORKERS; n++) {
    const worker = new Worker(NAME, async () => {}, { connection, concurrency: CONCURRENCY });
    worker.on('completed', () => {
      done += 1;
    });
    worker.on('error', () => {});
  }
  process.send({ done: 0 });
  setInterval(() => {
    if (done === 0) return;
    process.send({ done });
    done = 0;
  }, 5);
}

// graphile-worker at its fastest documented settings: node graphile-worker.mjs enqueue|drain <database url> <jobs>. Prints { perSecond }.
// Settings as on https://worker.graphile.org/docs/performance: 24 jobs at a time, a local queue of 500, completion in
// batches. Two worker processes were the fastest on two cores (one: 35,000 to 45,000/s, two: 47,000 to 52,000/s, three: 44,000/s).
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Logger, makeWorkerUtils, run } from 'graphile-worker';

const BATCH = 1_000;
const UNDER_WAY = 4;
const WARM_UP = 10_000;
const PROCESSES = 2;

const [task, connectionString, count] = process.argv.slice(2);
const total = Number(count);
const logger = new Logger(() => () => {});

if (task === 'work') work();
else if (task === 'enqueue') await enqueueOnly();
else await drain();

async function openQueue() {
  const utils = await makeWorkerUtils({ connectionString, logger });
  await utils.migrate();
  await tidy(utils, 'TRUNCATE graphile_worker._private_jobs');
  return utils;
}

function tidy(utils, statement) {
  return utils.withPgClient((client) => client.query(statement));
}

async function fill(utils, jobs, options) {
  let next = 0;
  const filler = async () => {
    while (next < jobs) {
      const size = Math.min(BATCH, jobs - next);
      next += BATCH;
      await utils.addJobs(
        Array.from({ length: size }, () => ({
          identifier: 'ready',
          payload: { orderId: crypto.randomUUID() },
          ...options,
        })),
      );
    }
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, filler));
}

async function enqueueOnly() {
  const utils = await openQueue();
  const options = { runAt: new Date(Date.now() + 3_600_000) };
  await fill(utils, WARM_UP, options);
  const started = performance.now();
  await fill(utils, total, options);
  const seconds = (performance.now() - started) / 1000;
  await utils.release();
  console.log(JSON.stringify({ perSecond: total / seconds }));
}

async function drain() {
  const utils = await openQueue();
  const children = Array.from({ length: PROCESSES }, () => fork(process.argv[1], ['work', connectionString, '0']));
  await Promise.all(children.map((child) => once(child, 'message')));
  await drainOnce(utils, children, WARM_UP);
  const seconds = await drainOnce(utils, children, total);
  for (const child of children) child.kill();
  await utils.release();
  console.log(JSON.stringify({ perSecond: total / seconds }));
}

/** Seconds from the moment the workers are told to start until all jobs are done. */
async function drainOnce(utils, children, jobs) {
  await fill(utils, jobs, {});
  await tidy(utils, 'VACUUM ANALYZE graphile_worker._private_jobs');
  let done = 0;
  const { promise, resolve } = Promise.withResolvers();
  const count = (message) => {
    done += message.done ?? 0;
    if (done >= jobs) resolve();
  };
  for (const child of children) child.on('message', count);
  const started = performance.now();
  for (const child of children) child.send('start');
  await promise;
  const seconds = (performance.now() - started) / 1000;
  const stopped = Promise.all(
    children.map(
      (child) =>
        new Promise((resolve) => {
          child.on('message', (message) => message.stopped && resolve());
        }),
    ),
  );
  for (const child of children) child.off('message', count).send('stop');
  await stopped;
  return seconds;
}

function work() {
  let done = 0;
  let runner;
  const options = {
    logger,
    taskList: {
      ready() {
        done += 1;
      },
    },
    preset: {
      worker: {
        connectionString,
        concurrentJobs: 24,
        maxPoolSize: 25,
        localQueue: { size: 500 },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
  };
  process.on('message', async (message) => {
    if (message === 'start') runner = await run(options);
    else {
      await runner.stop();
      process.send({ stopped: true });
    }
  });
  process.on('disconnect', () => process.exit());
  process.send({ done: 0 });
  setInterval(() => {
    if (done === 0) return;
    process.send({ done });
    done = 0;
  }, 5);
}

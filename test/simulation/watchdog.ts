/** Ends the program when a run never gives the thread back: no bound of the scheduler ends a loop within one turn. */
import { Worker } from 'node:worker_threads';

/** A run takes less than a second. */
const LIMIT_MS = 120_000;
/** Runs in a thread of its own, since the other one is busy. */
const WATCH = `
const { parentPort } = require('node:worker_threads');
let timer;
parentPort.on('message', ({ seed, limitMs }) => {
  clearTimeout(timer);
  if (seed === undefined) return;
  timer = setTimeout(() => {
    require('node:fs').writeSync(2, 'seed ' + seed + ' fails: a turn does not end\\n');
    process.kill(process.pid, 'SIGKILL');
  }, limitMs);
});
`;
let watcher: Worker | undefined;

/** Does the work of a seed; after `limitMs` of real time it names the seed and kills this process. */
export async function watched<T>(seed: number, work: () => Promise<T>, limitMs = LIMIT_MS): Promise<T> {
  watcher ??= new Worker(WATCH, { eval: true, execArgv: [] });
  watcher.unref();
  watcher.postMessage({ seed, limitMs });
  try {
    return await work();
  } finally {
    watcher.postMessage({});
  }
}

/** The times to recover as a table, one row for each kind of fault. */
import { group } from '../../cmd/audit/history.ts';
import type { Experience } from './run.ts';

const HEAD = ['fault', 'times', 'orders go on after: p50', 'max', 'all ready after: p50', 'max'];

export function recoveryTable(experiences: readonly Experience[]): string {
  const kinds = [...group(experiences, ({ kind }) => kind)].sort(([a], [b]) => a.localeCompare(b));
  const rows = kinds.map(([kind, all]) => {
    const happened = all.filter((one) => one.happened);
    return [
      kind,
      String(happened.length),
      ...spread(happened.map(({ ordersMs }) => ordersMs)),
      ...spread(happened.map(({ readyMs }) => readyMs)),
    ];
  });
  return [HEAD, HEAD.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

/** The middle and the longest time, in seconds. */
function spread(times: readonly (number | undefined)[]): [p50: string, max: string] {
  if (times.length === 0) return ['–', '–'];
  const sorted = times.map((ms) => ms ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  const seconds = (ms: number) => (Number.isFinite(ms) ? `${(ms / 1_000).toFixed(1)} s` : 'never');
  return [seconds(sorted[Math.floor((sorted.length - 1) / 2)]!), seconds(sorted.at(-1)!)];
}

/** The times to recover as a table, one row for each kind of fault. */
import { group } from '../../cmd/audit/history.ts';
import type { Experience } from './run.ts';

export function recoveryTable(experiences: readonly Experience[]): string {
  const kinds = [...group(experiences, nameOf)].sort(([a], [b]) => a.localeCompare(b));
  const rows = kinds.map(([name, all]) => {
    const happened = all.filter((one) => one.happened);
    return [
      name,
      String(happened.length),
      spread(happened.map(({ ordersMs }) => ordersMs)),
      spread(happened.map(({ readyMs }) => readyMs)),
    ];
  });
  const head = ['fault', 'times', 'orders go on after', 'all ready after'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

function nameOf({ fault }: Experience): string {
  if (fault.kind === 'process killed at a point') return `${fault.kind}: ${fault.point}`;
  return 'peer' in fault ? `${fault.kind}: ${fault.peer}` : fault.kind;
}

/** The middle and the longest time, in seconds. */
function spread(times: readonly (number | undefined)[]): string {
  if (times.length === 0) return '–';
  const sorted = times.map((ms) => ms ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  const seconds = (ms: number) => (Number.isFinite(ms) ? `${(ms / 1_000).toFixed(1)} s` : 'never');
  const [middle, longest] = [sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!];
  return sorted.length === 1 ? seconds(middle) : `${seconds(middle)}, at most ${seconds(longest)}`;
}

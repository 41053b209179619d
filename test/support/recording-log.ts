/** A log and a meter that record their calls. */
import type { Log, LogFields, Meter } from '../../internal/service/ports.ts';

export interface LogLine {
  readonly level: keyof Log;
  readonly message: string;
  readonly fields: LogFields;
}

export interface RecordingLog extends Log {
  readonly lines: readonly LogLine[];
  at(...levels: (keyof Log)[]): LogLine[];
}

export function recordingLog(): RecordingLog {
  const lines: LogLine[] = [];
  const write = (level: keyof Log) => (fields: LogFields, message: string) => {
    lines.push({ level, message, fields });
  };
  return {
    lines,
    at: (...levels) => lines.filter((line) => levels.includes(line.level)),
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
}

export interface RecordingMeter extends Meter {
  /** The total of a metric, over all labels. */
  total(metric: Parameters<Meter['count']>[0]): number;
}

export function recordingMeter(): RecordingMeter {
  const totals = new Map<string, number>();
  return {
    count(metric, by) {
      totals.set(metric, (totals.get(metric) ?? 0) + by);
    },
    observe() {},
    total: (metric) => totals.get(metric) ?? 0,
  };
}

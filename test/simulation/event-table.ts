/** The event log's table: records in the order of (transaction id, position), read up to a horizon. */
import { TiffinError } from '../../internal/domain/errors.ts';
import type { LogPosition } from '../../internal/service/ports.ts';
import type { Delivery, LogFilter, LogPage } from '../../internal/service/stream/ports.ts';

/** The name of the one server. */
export const SERVER = 'simulated';

export interface LogEntry {
  readonly type: string;
  readonly key: string;
  /** Set if the record goes to this topic only. */
  readonly topic?: string;
  readonly record: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface LogRow extends LogEntry {
  readonly transactionId: number;
  readonly position: number;
  /** Parsed once, and shared by all consumers, as the readers of one process share the end of the log. */
  readonly delivery: Delivery;
}

type Place = Pick<LogRow, 'transactionId' | 'position'>;

/** Without `horizon` the order is that of the positions alone, and nothing is held back. */
export function eventTable({ horizon }: { horizon: boolean }) {
  let rows: LogRow[] = [];
  let lastPosition = 0;
  const compare = (a: Place, b: Place) =>
    (horizon ? a.transactionId - b.transactionId : 0) || a.position - b.position;

  /** The number of rows up to a place. */
  function upTo(place: Place): number {
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(rows[middle] as LogRow, place) > 0) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  return {
    /** Gives a record its position; it can be read once it is added. */
    number(transactionId: number, entry: LogEntry): LogRow {
      lastPosition += 1;
      const delivery: Delivery = {
        topic: entry.topic ?? entry.type,
        key: entry.key,
        position: `${transactionId}-${lastPosition}`,
        record: JSON.parse(JSON.stringify(entry.record)),
        ...(entry.headers ? { headers: entry.headers } : {}),
      };
      return { ...entry, transactionId, position: lastPosition, delivery };
    },
    add(added: readonly LogRow[]): void {
      const [first] = added;
      if (!first) return;
      const at = upTo(first);
      rows = [...rows.slice(0, at), ...[...rows.slice(at), ...added].sort(compare)];
    },
    rows: (): readonly LogRow[] => rows,
    /** The rows after `from` of the transactions below `below`. */
    read(from: LogPosition, filter: LogFilter, limit: number, below: number): LogPage {
      if ((from.server ?? SERVER) !== SERVER) throw new TiffinError('UNAVAILABLE', 'this is another server');
      const start = { transactionId: Number(from.transactionId), position: Number(from.position) };
      const deliveries: Delivery[] = [];
      let held = false;
      let last: LogRow | undefined;
      for (let n = upTo(start); n < rows.length && deliveries.length < limit; n++) {
        const row = rows[n] as LogRow;
        held = horizon && row.transactionId >= below;
        if (held) break;
        const { type, topic, delivery } = row;
        if (topic === undefined ? filter.types.has(type) : filter.topics.has(topic))
          deliveries.push(delivery);
        last = row;
      }
      const to = last
        ? { transactionId: String(last.transactionId), position: String(last.position), server: SERVER }
        : { ...from, server: SERVER };
      return { deliveries, to, full: deliveries.length === limit, held };
    },
  };
}

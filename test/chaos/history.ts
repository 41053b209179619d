/** Records what clients asked and heard, as lines of a history. */
import type { HistoryLine } from '../../cmd/audit/history.ts';

export interface Call {
  /** Records the outcome; of several, the first one counts. */
  end(type: 'ok' | 'fail' | 'info', value?: Readonly<Record<string, unknown>>, orderId?: string): void;
}

export interface Recorder {
  readonly lines: readonly HistoryLine[];
  /** The order's id may be unknown until the answer. */
  begin(op: string, value: Readonly<Record<string, unknown>>, orderId?: string): Call;
}

export function recorder(): Recorder {
  const lines: HistoryLine[] = [];
  let calls = 0;
  return {
    lines,
    begin(op, asked, knownId) {
      calls += 1;
      const process = `client-${calls}`;
      const invokedAt = Date.now();
      let isOver = false;
      return {
        end(type, value = {}, orderId = knownId) {
          // An order whose id nobody has heard cannot be told from the others.
          if (isOver || orderId === undefined) return;
          isOver = true;
          lines.push({ type: 'invoke', process, op, orderId, value: { ...asked }, at: invokedAt });
          lines.push({ type, process, op, orderId, value: { ...value }, at: Date.now() });
        },
      };
    },
  };
}

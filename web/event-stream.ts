/** Reads Server-Sent Events (WHATWG HTML, 9.2) from text in pieces of any size, and says when to connect again. */

const LONGEST_PAUSE_MS = 15_000;

export interface Sent {
  readonly type: string;
  readonly data: string;
  /** The last id that the stream gave, to connect again with. */
  readonly id: string;
}

/** Calls `onEvent` for each event, as the returned function gets its text. */
export function eventReader(onEvent: (event: Sent) => void): (piece: string) => void {
  let rest = '';
  let type = '';
  let id = '';
  let data: string[] = [];
  return (piece) => {
    // A CR at the end may be the first half of a CRLF.
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [, field, value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (field === 'event') type = value;
      if (field === 'id') id = value;
      if (field === 'data') data.push(value);
      if (line !== '') continue;
      if (data.length > 0) onEvent({ type: type || 'message', data: data.join('\n'), id });
      type = '';
      data = [];
    }
  };
}

/** The backoff after `failures` in a row, ms; `random`, 0 to 1, keeps many pages from reconnecting at once. */
export function pauseMs(failures: number, random: number): number {
  return Math.min(LONGEST_PAUSE_MS, 500 * 2 ** failures) * (0.5 + random / 2);
}

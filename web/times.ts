/** Times as people read and write them; pure functions of a time and of now, epoch ms. */

const MINUTE_MS = 60_000;

/** The minutes until arrival, counted from `now`. */
export function etaText(from: string, to: string, now: number): string {
  const [first = 0, last = 0] = [from, to].map((at) =>
    Math.max(0, Math.ceil((Date.parse(at) - now) / MINUTE_MS)),
  );
  if (last === 0) return 'any moment now';
  if (first === 0) return `within ${last} min`;
  return first === last ? `in ${last} min` : `in ${first} to ${last} min`;
}

/** A time as text, with its date unless it is today; the style 'short' has no seconds. */
export function timeText(at: string, now: number, timeStyle: 'short' | 'medium' = 'medium'): string {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date(now).toDateString();
  return isToday
    ? date.toLocaleTimeString([], { timeStyle })
    : date.toLocaleString([], { dateStyle: 'medium', timeStyle });
}

/** The value of a datetime-local field in RFC 3339, with the local offset at that time; empty if there is none. */
export function toRfc3339(local: string): string {
  const date = new Date(local);
  if (Number.isNaN(date.getTime())) return '';
  const ahead = -date.getTimezoneOffset();
  const offset = `${ahead < 0 ? '-' : '+'}${two(Math.abs(ahead) / 60)}:${two(Math.abs(ahead) % 60)}`;
  // Not the field's own text: Date moves a time that a change of clocks skips.
  return `${localText(date)}:${two(date.getSeconds())}${offset}`;
}

/** The value of a datetime-local field for this time, without seconds. */
export function localText(date: Date): string {
  const day = [String(date.getFullYear()).padStart(4, '0'), two(date.getMonth() + 1), two(date.getDate())];
  return `${day.join('-')}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

function two(number: number): string {
  return String(Math.trunc(number)).padStart(2, '0');
}

/** The addresses of the views of dead letters, which hold their filters; pure functions. */

export interface Group {
  readonly consumer: string;
  readonly error: string;
}

export function groupAddress({ consumer, error }: Group, cursor?: string | null): string {
  return `/console/letters?${new URLSearchParams({ consumer, error, ...(cursor ? { cursor } : {}) })}`;
}

export function letterAddress(id: string): string {
  return `/console/letters/${encodeURIComponent(id)}`;
}

/** "1 letter", "1,204 letters". */
export function lettersText(count: number): string {
  return `${count.toLocaleString('en')} ${count === 1 ? 'letter' : 'letters'}`;
}

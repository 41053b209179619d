/** Follows an order, or a board, by its stream of events, and connects again until the stream has ended for good. */
import { useEffect, useState } from 'preact/hooks';
import { eventReader, pauseMs, type Sent } from './event-stream.ts';
import { type Fault, faultsIn } from './faults.ts';
import { send } from './server.ts';
import { isFinal } from './words.ts';

/** The server sends at least a heartbeat every 15 s; a stream that is silent for this long is taken as lost. */
const QUIET_MS = 40_000;
/** Pauses before reading an order again after its final status, because its stock and payment settle later. */
const AFTER_END_MS = [1_000, 4_000, 15_000];

export type Connection = 'opening' | 'live' | 'lost' | 'ended';

export interface Followed<View> {
  readonly view?: View;
  readonly connection: Connection;
  /** Why the order cannot be followed; the server's refusal, which asking again does not change. */
  readonly faults: readonly Fault[];
  /** The last data of each other event. */
  readonly beside: Readonly<Record<string, unknown>>;
}

const START = { connection: 'opening', faults: [], beside: {} } as const;

/** `path` is that of an order, a restaurant or a rider, whose stream is below it. Another `attempt` follows anew. */
export function useFollowed<View extends { readonly status?: string }>(
  path: string,
  attempt = 0,
): Followed<View> {
  const [followed, set] = useState<Followed<View>>(START);
  useEffect(() => {
    const controller = new AbortController();
    set(START);
    void follow<View>(path, controller.signal, (change) => {
      if (!controller.signal.aborted)
        set((last) => ({ ...last, ...change, beside: { ...last.beside, ...change.beside } }));
    });
    return () => controller.abort();
  }, [path, attempt]);
  return followed;
}

async function follow<View extends { readonly status?: string }>(
  path: string,
  signal: AbortSignal,
  onChange: (change: Partial<Followed<View>>) => void,
): Promise<void> {
  let lastId = '';
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      const headers: HeadersInit = lastId ? { 'Last-Event-ID': lastId } : {};
      const response = await send(`${path}/stream`, { headers, signal });
      // Asking again changes nothing, except after too many requests.
      if (response.status >= 400 && response.status < 500 && response.status !== 429)
        return onChange({
          connection: 'ended',
          faults: faultsIn(await response.json().catch(() => undefined), response.status),
        });
      let hasEnded = response.status === 204;
      if (response.ok && response.body)
        await readStream(response.body, ({ type, data, id }) => {
          if (type === 'end') hasEnded = true;
          failures = 0;
          lastId = id || lastId;
          const sent: unknown = JSON.parse(data);
          if (type === 'view') onChange({ view: sent as View, connection: 'live' });
          else if (type !== 'end') onChange({ beside: { [type]: sent } });
        });
      if (hasEnded) {
        onChange({ connection: 'ended' });
        return await afterEnd(path, signal, (view: View) => onChange({ view }));
      }
    } catch {
      // The connection is lost, or was never there.
    }
    if (signal.aborted) return;
    onChange({ connection: 'lost' });
    await pause(pauseMs(failures, Math.random()), signal);
  }
}

/** Reads the order again until stock and payment have settled. */
async function afterEnd<View extends { readonly status?: string }>(
  path: string,
  signal: AbortSignal,
  onView: (view: View) => void,
): Promise<void> {
  for (const ms of AFTER_END_MS) {
    await pause(ms, signal);
    if (signal.aborted) return;
    const response = await send(path, { signal }).catch(() => undefined);
    const view = response?.ok
      ? ((await response.json().catch(() => undefined)) as View | undefined)
      : undefined;
    if (view?.status && isFinal({ status: view.status })) onView(view);
  }
}

/** Resolves when the stream has ended or was silent for QUIET_MS; throws if the connection is lost. */
async function readStream(body: ReadableStream<Uint8Array>, onEvent: (event: Sent) => void): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const read = eventReader(onEvent);
  for (;;) {
    const watchdog = setTimeout(() => void reader.cancel(), QUIET_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(watchdog));
    if (done) return;
    read(decoder.decode(value, { stream: true }));
  }
}

/** Ends early when the browser is back on the network. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      removeEventListener('online', over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    addEventListener('online', over, { once: true });
    signal.addEventListener('abort', over, { once: true });
  });
}

/** The live boards of restaurants and riders: the whole board at once when a stream opens, and again whenever it has changed. */
import type { Context } from 'koa';
import type { Log } from '../../../../service/ports.ts';
import type { Principal } from '../../principal.ts';
import { type LiveStream, type LiveStreams, message } from './live-stream.ts';

/** The pause between two readings of the boards that someone watches, ms. */
const EVERY_MS = 1_000;

export interface BoardDeps {
  readonly streams: LiveStreams;
  readonly log: Log;
  readonly boardsEveryMs?: number;
}

/** The answers of a route with such a stream, beside its 404. */
export const BOARD_ANSWERS = {
  200: { description: 'Server-Sent Events', type: 'text/event-stream' },
  429: { description: 'This principal has too many streams open' },
  503: { description: 'Too many streams are open' },
};

interface Watched {
  /** The board as it was sent last, as JSON. */
  text: string;
  readonly streams: Set<LiveStream>;
}

/**
 * Answers requests with the board of an id, and with each later state of it. `read` is called for each board that is watched,
 * one board after another and with a pause after each round, so the load on the database does not grow with the watchers.
 */
export function boardStreams(
  deps: BoardDeps,
  read: (id: string) => Promise<object>,
): (ctx: Context, principal: Principal, id: string) => Promise<void> {
  const watched = new Map<string, Watched>();
  let timer: NodeJS.Timeout | undefined;

  function show(board: Watched, state: object, only?: LiveStream): void {
    const text = JSON.stringify(state);
    const isSame = text === board.text;
    board.text = text;
    for (const stream of board.streams) if (!isSame || stream === only) stream.send(message('view', state));
  }

  async function round(): Promise<void> {
    for (const [id, board] of [...watched]) {
      if (board.streams.size === 0) continue;
      try {
        show(board, await read(id));
      } catch (error) {
        // The streams stay; the next round reads again.
        deps.log.debug({ error: (error as Error).message }, 'a board could not be read');
      }
    }
    timer = undefined;
    wake();
  }

  function wake(): void {
    if (timer || watched.size === 0) return;
    timer = setTimeout(() => void round(), deps.boardsEveryMs ?? EVERY_MS).unref();
  }

  return async (ctx, principal, id) => {
    const first = await read(id);
    let close = () => {};
    const stream = deps.streams.open(ctx, principal, () => close());
    const board = watched.get(id) ?? { text: '', streams: new Set() };
    watched.set(id, board);
    board.streams.add(stream);
    close = () => {
      board.streams.delete(stream);
      if (board.streams.size === 0 && watched.get(id) === board) watched.delete(id);
    };
    show(board, first, stream);
    wake();
  };
}

/** Dead letters in memory, and the events parked behind them. */
import type { DeadLetter, NewDeadLetter } from '../../internal/service/ports.ts';
import {
  type CountedGroup,
  type DeadLetterGroups,
  type DeadLetters,
  ERROR_LENGTH,
  type LetterGroup,
} from '../../internal/service/stream/ports.ts';

export type Letter = DeadLetter & { readonly replayRequested: boolean };

export interface LetterTables {
  /** `<consumer> <event id>`. */
  processed: Set<string>;
  letters: Letter[];
}

/** `of` returns the tables as they are now: a rollback replaces them. */
export function memoryLetters(of: () => LetterTables) {
  let lastLetter = 0;

  function add(letter: NewDeadLetter): void {
    if (of().letters.some((known) => isSame(known, letter))) return;
    lastLetter += 1;
    of().letters.push({ ...letter, id: String(lastLetter), createdAt: 0, replayRequested: false });
  }

  function remove(id: string): boolean {
    const found = of().letters.some((letter) => letter.id === id);
    of().letters = of().letters.filter((letter) => letter.id !== id);
    return found;
  }

  function askFor({ consumer, orderId }: NewDeadLetter, replayRequested: boolean): void {
    of().letters = of().letters.map((letter) =>
      letter.consumer === consumer && letter.orderId === orderId ? { ...letter, replayRequested } : letter,
    );
  }

  const deadLetters: DeadLetters & DeadLetterGroups = {
    async screen(consumer, eventIds, orderIds) {
      const seen = eventIds.filter((id) => of().processed.has(`${consumer} ${id}`));
      const parked = of().letters.filter((letter) => letter.consumer === consumer);
      return {
        seen: new Set(seen),
        parked: new Set(parked.map(({ orderId }) => orderId).filter((id) => orderIds.includes(id))),
      };
    },
    list: async ({ limit, after = '0', ...group }) =>
      of()
        .letters.filter((letter) => isIn(group)(letter) && Number(letter.id) > Number(after))
        .slice(0, limit),
    async find(id) {
      const found = of().letters.find((letter) => letter.id === id);
      return found && { ...found, recordText: JSON.stringify(found.record) };
    },
    async requestReplay(id) {
      const asked = of().letters.find((letter) => letter.id === id);
      if (asked) askFor(asked, true);
      return asked !== undefined;
    },
    async discard(id) {
      const gone = of().letters.find((letter) => letter.id === id);
      if (!gone) return false;
      of().letters = of().letters.filter((letter) => letter !== gone);
      askFor(gone, true);
      return true;
    },
    async groups() {
      const groups = new Map<string, CountedGroup>();
      for (const letter of of().letters.filter(isIn({}))) {
        const { consumer, createdAt, replayRequested } = letter;
        const key = JSON.stringify([consumer, beginningOf(letter)]);
        const known = groups.get(key);
        groups.set(key, {
          consumer,
          error: beginningOf(letter),
          count: (known?.count ?? 0) + 1,
          replaying: (known?.replaying ?? 0) + Number(replayRequested),
          firstAt: known?.firstAt ?? createdAt,
          lastAt: createdAt,
        });
      }
      return { groups: [...groups.values()].sort((a, b) => b.count - a.count), isComplete: true };
    },
    async requestReplayOf(group) {
      const asked = of().letters.filter(isIn(group));
      for (const letter of asked) askFor(letter, true);
      return asked.length;
    },
    async discardAllOf(group) {
      const gone = of().letters.filter(isIn(group));
      of().letters = of().letters.filter((letter) => !gone.includes(letter));
      return gone.length;
    },
    async requested(consumer) {
      const own = of().letters.filter((letter) => letter.consumer === consumer);
      const orphan = (letter: Letter) =>
        letter.error === undefined && own.find(({ orderId }) => orderId === letter.orderId) === letter;
      const next = own.find((letter) => letter.replayRequested || orphan(letter));
      return own.filter(({ orderId }) => orderId === next?.orderId);
    },
    async recordFailure(letter, fault) {
      askFor(letter, false);
      of().letters = of().letters.map((kept) =>
        kept.id === letter.id ? { ...kept, error: fault, retryCount: kept.retryCount + 1 } : kept,
      );
    },
  };
  return { add, remove, deadLetters };
}

function beginningOf({ error = '' }: NewDeadLetter): string {
  return [...error].slice(0, ERROR_LENGTH).join('');
}

function isIn({ consumer, error }: Partial<LetterGroup>): (letter: NewDeadLetter) => boolean {
  return (letter) =>
    letter.error !== undefined &&
    (consumer === undefined || letter.consumer === consumer) &&
    (error === undefined || beginningOf(letter) === error);
}

function isSame(a: NewDeadLetter, b: NewDeadLetter): boolean {
  return a.consumer === b.consumer && a.eventId === b.eventId;
}

/** Asks programs for their readiness all the time, and remembers when each answer changed. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Program, request } from '../../test/support/program.ts';

const ASK_EVERY_MS = 50;
const ANSWER_LIMIT_MS = 5_000;

interface Change {
  readonly at: number;
  readonly isReady: boolean;
}

export interface ReadinessWatch {
  /** Milliseconds until each program first was not ready, since `from`; undefined for one that was ready throughout. */
  notReadyAfter(from: number): ReadonlyMap<string, number | undefined>;
  /** Resolves with the time at which the last program became ready, once all are. */
  allReady(since: number): Promise<number>;
  stop(): Promise<void>;
}

export function watchReadiness(programs: ReadonlyMap<string, Program>): ReadinessWatch {
  const changes = new Map<string, Change[]>([...programs.keys()].map((name) => [name, []]));
  const askedAt = new Map<string, number>();
  let stopped = false;

  async function watch(name: string, { url }: Program): Promise<void> {
    const seen = changes.get(name) as Change[];
    while (!stopped) {
      const asked = performance.now();
      const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
      const answer = await request('GET', `${url}/readyz`, undefined, {}, signal).catch(() => undefined);
      const isReady = answer?.status === 200;
      if (seen.at(-1)?.isReady !== isReady) seen.push({ at: performance.now(), isReady });
      askedAt.set(name, asked);
      await pause(ASK_EVERY_MS);
    }
  }

  const watching = [...programs].map(([name, program]) => watch(name, program));
  return {
    notReadyAfter: (from) =>
      new Map(
        [...changes].map(([name, seen]) => {
          const first = seen.find(({ at, isReady }) => at >= from && !isReady);
          return [name, first && first.at - from];
        }),
      ),
    async allReady(since) {
      for (;;) {
        const last = [...changes.values()].map((seen) => seen.at(-1));
        const isCurrent = [...programs.keys()].every((name) => (askedAt.get(name) ?? 0) >= since);
        if (isCurrent && last.every((one) => one?.isReady))
          return Math.max(since, ...last.map((one) => one?.at ?? 0));
        await pause(ASK_EVERY_MS);
      }
    },
    async stop() {
      stopped = true;
      await Promise.all(watching);
    },
  };
}

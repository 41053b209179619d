/** Where the rider of an order is: read for one view, or followed from view to view. */
import { isUnderWay, type Rider } from '../../../../domain/delivery.ts';
import type { RiderMoves, Riders } from '../../../../service/delivery/ports.ts';
import type { Log } from '../../../../service/ports.ts';
import type { OrderView } from '../../../../service/views/ports.ts';

/** The shortest time from one position of an order's rider to the next, ms. */
const POSITIONS_EVERY_MS = 1_000;

export interface PositionDeps {
  readonly riders: Pick<Riders, 'find'>;
  readonly riderMoves: Pick<RiderMoves, 'listen'>;
  readonly log: Log;
  readonly positionsEveryMs?: number;
}

export interface RiderFollower {
  /** Follows the rider whom the order has in this view. */
  see(view: OrderView): void;
  stop(): void;
}

/** Undefined unless the order has a rider on the way, or the rider's place is unknown. */
export async function riderOf(
  { riders }: Pick<PositionDeps, 'riders'>,
  view: OrderView,
): Promise<Rider | undefined> {
  const riderId = riderIdOf(view);
  const [rider] = riderId === undefined ? [] : await riders.find([riderId]);
  return rider?.place && rider;
}

/** Calls `show` with the rider after a move, as long as the rider is on the way with the order. */
export function riderFollower(deps: PositionDeps, show: (rider: Rider) => void): RiderFollower {
  let riderId: string | undefined;
  let stop = () => {};

  function follow(id: string): () => void {
    let isStopped = false;
    const look = atMostEvery(deps.positionsEveryMs ?? POSITIONS_EVERY_MS, async () => {
      try {
        const [rider] = await deps.riders.find([id]);
        if (rider?.place && !isStopped) show(rider);
      } catch (error) {
        // The next move is read again.
        deps.log.debug({ error: (error as Error).message }, 'the position of a rider could not be read');
      }
    });
    const unlisten = deps.riderMoves.listen(id, look.soon);
    return () => {
      isStopped = true;
      unlisten();
      look.stop();
    };
  }

  return {
    see(view) {
      const next = riderIdOf(view);
      if (next === riderId) return;
      stop();
      riderId = next;
      stop = next === undefined ? () => {} : follow(next);
    },
    stop: () => stop(),
  };
}

/** The rider with whom the order is on the way. */
function riderIdOf({ delivery }: OrderView): string | undefined {
  return delivery && isUnderWay(delivery) ? delivery.riderId : undefined;
}

/** `soon` does the work now, or once the time since it was begun last is over. */
function atMostEvery(everyMs: number, work: () => Promise<void>): { soon(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  let isWanted = false;
  function soon(): void {
    isWanted = true;
    if (timer) return;
    isWanted = false;
    timer = setTimeout(() => {
      timer = undefined;
      if (isWanted) soon();
    }, everyMs);
    void work();
  }
  return {
    soon,
    stop() {
      clearTimeout(timer);
    },
  };
}

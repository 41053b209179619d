/** A client that places orders continuously and retries each order until it is acknowledged. */
import { setTimeout as pause } from 'node:timers/promises';
import { request } from './program.ts';

export interface OrderClient {
  /** Ids of the orders that were answered with 201. */
  readonly acknowledged: string[];
  stop(): Promise<void>;
}

/** `url` is called for each attempt, since a restarted program listens on another port. */
export function placeOrders(
  url: () => string,
  options: { prefix: string; lanes: number; dueInMs: () => number | undefined },
): OrderClient {
  const acknowledged: string[] = [];
  let stopped = false;

  async function lane(name: string): Promise<void> {
    for (let n = 0; !stopped; n++) {
      const id = `${name}-${n}`;
      const dueIn = options.dueInMs();
      const body = {
        id,
        customer_name: 'Asha',
        total_price: 12.5,
        ...(dueIn === undefined ? {} : { scheduled_time: new Date(Date.now() + dueIn).toISOString() }),
      };
      while (!stopped) {
        const answer = await request('POST', `${url()}/orders`, body).catch(() => undefined);
        if (answer?.status === 201) {
          acknowledged.push(id);
          break;
        }
        if (answer && answer.status !== 503)
          throw new Error(`placing ${id} was answered with ${answer.status} ${JSON.stringify(answer.body)}`);
        // When everything else has ended, a client that its test did not stop ends too.
        await pause(20, undefined, { ref: false });
      }
    }
  }

  const lanes = Promise.all(Array.from({ length: options.lanes }, (_, n) => lane(`${options.prefix}-${n}`)));
  return {
    acknowledged,
    async stop() {
      stopped = true;
      await lanes;
    },
  };
}

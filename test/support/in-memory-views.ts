/** Views in memory, on servers that can be set back to an earlier state. */
import { randomUUID } from 'node:crypto';
import { TiffinError } from '../../internal/domain/errors.ts';
import type { OrderId } from '../../internal/domain/order.ts';
import type { OrderView, OrderViews, StoredViews } from '../../internal/service/views/ports.ts';
import { isNewer } from '../../internal/service/views/project-views.ts';

const PAGE = 10;

export interface MemoryViews {
  readonly views: OrderViews;
  readonly storedViews: StoredViews;
  readonly stored: Map<OrderId, OrderView>;
  /** How many pages were read. */
  pages(): number;
  /** Remembers the views as they are, and returns what restarts the server with them. */
  snapshot(): () => void;
  /** Makes the next page fail. */
  failOnce(): void;
}

export function memoryViews(): MemoryViews {
  const stored = new Map<OrderId, OrderView>();
  const compared = new Set<string>();
  let history: string = randomUUID();
  let pages = 0;
  let fails = false;
  return {
    stored,
    pages: () => pages,
    snapshot() {
      const before = [...stored];
      return () => {
        stored.clear();
        for (const [id, view] of before) stored.set(id, view);
        history = randomUUID();
      };
    },
    failOnce() {
      fails = true;
    },
    views: {
      async put(views) {
        const added: OrderId[] = [];
        for (const view of views) {
          const old = stored.get(view.order.id);
          if (!old) added.push(view.order.id);
          if (!old || isNewer(view.revision, old.revision)) stored.set(view.order.id, view);
        }
        return added;
      },
      get: async (id) => stored.get(id),
    },
    storedViews: {
      histories: async () => [history],
      isCompared: async (one) => compared.has(one),
      async setCompared(one) {
        compared.add(one);
      },
      async page(_history, cursor = '') {
        if (fails) {
          fails = false;
          throw new TiffinError('UNAVAILABLE', 'Redis is away');
        }
        pages += 1;
        const rest = [...stored.keys()].sort().filter((id) => id > cursor);
        const ids = rest.slice(0, PAGE);
        return {
          versions: ids.map((orderId) => ({
            orderId,
            revision: (stored.get(orderId) as OrderView).revision,
          })),
          next: rest.length > PAGE ? ids.at(-1) : undefined,
        };
      },
      async remove({ orderId, revision }) {
        const isSame = String(stored.get(orderId)?.revision) === String(revision);
        return isSame && stored.delete(orderId);
      },
    },
  };
}

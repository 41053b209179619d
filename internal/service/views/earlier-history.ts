/** Reads a history from two stores: the one in use, and the one that was used before it. */
import type { History } from './ports.ts';

export function withEarlier(current: History, earlier: History): History {
  return {
    append: (events) => current.append(events),
    async of(orderId, limit) {
      const [late, early] = await Promise.all([current.of(orderId, limit), earlier.of(orderId, limit)]);
      if (early.length === 0) return late;
      const known = new Set(late.map(({ eventId }) => eventId));
      const all = [...early.filter(({ eventId }) => !known.has(eventId)), ...late];
      return all.sort((a, b) => a.at - b.at || (a.eventId < b.eventId ? -1 : 1)).slice(-limit);
    },
    rewrite: async (orderIds, change) =>
      (await current.rewrite(orderIds, change)) + (await earlier.rewrite(orderIds, change)),
  };
}

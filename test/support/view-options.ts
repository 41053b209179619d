/** The settings of views in Redis for tests: the default keys, a channel of their own, one database. */
import { randomUUID } from 'node:crypto';
import type { ViewOptions } from '../../internal/repository/redis/order-views.ts';

export const DATABASE_ID = randomUUID();

export function viewOptions(changes: Partial<ViewOptions> = {}): ViewOptions {
  return {
    prefix: 'tiffin',
    databaseId: DATABASE_ID,
    statusTtlS: 3_600,
    endedTtlS: 7_200,
    channel: `test-${randomUUID()}`,
    isNearlyFull: async () => false,
    ...changes,
  };
}

/** notification-service tells customers what becomes of their orders. */
import { type NotifyDeps, notifyConsumer, retryConsumer } from '../../internal/service/notify-customers.ts';
import type { Service } from '../wire.ts';

export function notificationService(deps: NotifyDeps): Service {
  return {
    name: 'notification-service',
    needs: ['postgres', 'stream'],
    consumers: [notifyConsumer(deps), retryConsumer(deps)],
  };
}

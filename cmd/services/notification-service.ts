/** notification-service notifies customers of their orders' changes. */
import { notifyConsumer, retryConsumer } from '../../internal/service/notifications/notify-customers.ts';
import type { Service, Wiring } from '../wire.ts';

export function notificationService(wiring: Wiring): Service {
  const deps = {
    ...wiring,
    newEventId: wiring.newId,
    provider: wiring.notificationProvider,
    timeZone: wiring.config.NOTIFICATION_TIME_ZONE,
  };
  return {
    name: 'notification-service',
    needs: ['postgres', 'stream'],
    consumers: [notifyConsumer(deps), retryConsumer(deps)],
  };
}

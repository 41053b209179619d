/** payment-service authorizes, captures, voids and refunds the payments of orders, and shows their ledger. */
import { settleConsumer } from '../../internal/service/payments/settle-payments.ts';
import { paymentRoutes } from '../../internal/transport/http/routes/payments/payment-routes.ts';
import type { Service, Wiring } from '../wire.ts';

export function paymentService(wiring: Wiring): Service {
  const deps = { ...wiring, provider: wiring.paymentProvider, newEventId: wiring.newId };
  return {
    name: 'payment-service',
    needs: ['postgres', 'stream'],
    routes: paymentRoutes(deps, wiring.config.PAYMENT_WEBHOOK_SECRET),
    consumers: [settleConsumer(deps)],
  };
}

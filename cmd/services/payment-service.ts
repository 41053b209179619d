/** payment-service has the money of orders authorized, captured, voided and refunded, and shows it. */
import type { PaymentProvider, Payments } from '../../internal/service/payment-ports.ts';
import type { Timers } from '../../internal/service/scheduler-ports.ts';
import { settleConsumer } from '../../internal/service/settle-payments.ts';
import { paymentRoutes } from '../../internal/transport/http/payment-routes.ts';
import type { Service, Wiring } from '../wire.ts';

interface PaymentWiring {
  readonly payments: Payments;
  readonly paymentProvider: PaymentProvider;
  readonly timers: Timers;
  readonly config: { readonly PAYMENT_WEBHOOK_SECRET?: string | undefined };
}

export function paymentService(wiring: Wiring & PaymentWiring): Service {
  const deps = { ...wiring, provider: wiring.paymentProvider, newEventId: wiring.newId };
  return {
    name: 'payment-service',
    needs: ['postgres', 'stream'],
    routes: paymentRoutes(deps, wiring.config.PAYMENT_WEBHOOK_SECRET),
    consumers: [settleConsumer(deps)],
  };
}

/** Order logic for ORDER_LOGIC: refuses large orders, and customers whom a risk service refuses. */

const LIMIT_MINOR = 100_000;
const TIMEOUT_MS = 2_000;

/**
 * Runs for each order without items once it is PROCESSING. The message of an error is the reason the order becomes FAILED;
 * an error whose code is UNAVAILABLE is retried until it passes. It may run twice for one order after a crash.
 */
export default async function checkOrder(order) {
  if (order.total.minor > LIMIT_MINOR) throw new Error('TOO_EXPENSIVE');
  if (!(await isTrusted(order.customerName))) throw new Error('CUSTOMER_REFUSED');
}

/** Asks the service at RISK_URL, if there is one. */
async function isTrusted(customer) {
  if (!process.env.RISK_URL) return true;
  try {
    const response = await fetch(`${process.env.RISK_URL}/customers/${encodeURIComponent(customer)}`, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status < 500) return response.ok;
    throw new Error(`the risk service answered ${response.status}`);
  } catch (cause) {
    throw Object.assign(new Error('the risk service is unavailable', { cause }), { code: 'UNAVAILABLE' });
  }
}

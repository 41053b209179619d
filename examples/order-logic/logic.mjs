/** Order logic for ORDER_LOGIC: refuses large orders, and customers whom a risk service refuses. */

const LIMIT_MINOR = 100_000;
const TIMEOUT_MS = 2_000;

/**
 * Runs for each order without items once it is PROCESSING. The message of an error is the reason the order becomes FAILED;
 * after an error whose code is UNAVAILABLE it is called again later, until the order's deadline. `signal` is aborted at the
 * time limit of a call. It may run twice for one order after a crash: asking twice does no harm here.
 */
export default async function checkOrder(order, { signal }) {
  if (order.total.minor > LIMIT_MINOR) throw new Error('TOO_EXPENSIVE');
  if (!(await isTrusted(order.customerName, signal))) throw new Error('CUSTOMER_REFUSED');
}

/** Asks the service at RISK_URL, if there is one. */
async function isTrusted(customer, signal) {
  if (!process.env.RISK_URL) return true;
  try {
    const response = await fetch(`${process.env.RISK_URL}/customers/${encodeURIComponent(customer)}`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    if (response.status < 500) return response.ok;
    throw new Error(`the risk service answered ${response.status}`);
  } catch (cause) {
    throw Object.assign(new Error('the risk service is unavailable', { cause }), { code: 'UNAVAILABLE' });
  }
}

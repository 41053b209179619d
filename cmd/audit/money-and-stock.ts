/** Invariants of payments and stock. */
import { by, group, type State } from './history.ts';
import { DROPPED_OUT, each, type Invariant, SUCCEEDED, together } from './verdict.ts';

/** An order has at most one authorization that holds or has taken money, in the provider's own books. */
export const oneLiveAuthorization: Invariant = ({ states }) =>
  each(
    group(states.authorization, ({ orderId }) => orderId),
    ([orderId, all]) => {
      const live = all.filter(holdsMoney);
      return live.length > 1 ? [`order ${orderId} has ${live.length} live authorizations`] : [];
    },
  );

function holdsMoney(authorization: State<'authorization'>): boolean {
  const { isVoided, authorizedMinor, capturedMinor, refundedMinor } = authorization;
  if (isVoided) return false;
  return capturedMinor > 0 ? capturedMinor > refundedMinor : authorizedMinor > 0;
}

/** No more is captured than was authorized, nor refunded than was captured. */
export const capturedWithinAuthorized: Invariant = ({ states }) =>
  each(
    [...states.payment, ...states.authorization],
    ({ orderId, authorizedMinor, capturedMinor, refundedMinor }) => [
      ...(capturedMinor > authorizedMinor
        ? [`order ${orderId}: ${capturedMinor} were captured and ${authorizedMinor} authorized`]
        : []),
      ...(refundedMinor > capturedMinor
        ? [`order ${orderId}: ${refundedMinor} were refunded and ${capturedMinor} captured`]
        : []),
    ],
  );

const SETTLED = ['VOIDED', 'REFUNDED', 'FAILED'];

/** An order that failed, was rejected or was cancelled holds no money; one that succeeded was charged its total. */
export const moneyFollowsTheOrder: Invariant = ({ states }) => {
  const payments = by(states.payment, 'orderId');
  const authorizations = group(states.authorization, ({ orderId }) => orderId);
  return each(states.order, ({ orderId, status, totalMinor, hasItems }) => {
    const payment = payments.get(orderId);
    if (DROPPED_OUT.has(status)) {
      const held = (authorizations.get(orderId) ?? []).filter(holdsMoney);
      return [
        ...(payment && !SETTLED.includes(payment.state)
          ? [`order ${orderId} is ${status}, and its payment is ${payment.state}`]
          : []),
        ...held.map((one) => `order ${orderId} is ${status}, and ${one.authorizationId} still holds money`),
      ];
    }
    if (!SUCCEEDED.has(status) || !hasItems || totalMinor === 0) return undefined;
    const charged = (payment?.capturedMinor ?? 0) - (payment?.refundedMinor ?? 0);
    const total = totalMinor ?? payment?.authorizedMinor;
    return charged === total
      ? []
      : [`order ${orderId} is ${status}: ${charged} were charged, and its total is ${total ?? 'not known'}`];
  });
};

/** What is left and what is reserved is the initial stock; an order that dropped out reserves nothing. */
export const stockConserved: Invariant = ({ states }) => {
  const orders = by(states.order, 'orderId');
  const reserved = states.reservation.filter(({ state }) => state === 'reserved');
  const taken = new Map<string, number>();
  for (const { itemId, quantity } of reserved.flatMap(({ lines }) => lines))
    taken.set(itemId, (taken.get(itemId) ?? 0) + quantity);
  return together(
    each(states.stock, ({ itemId, initial, left }) => {
      const quantity = taken.get(itemId) ?? 0;
      return [
        ...(left < 0 ? [`item ${itemId}: ${left} are left`] : []),
        ...(initial - quantity === left
          ? []
          : [`item ${itemId}: of ${initial}, ${quantity} are reserved and ${left} left`]),
      ];
    }),
    each(reserved, ({ orderId }) => {
      const status = orders.get(orderId)?.status;
      return status && DROPPED_OUT.has(status)
        ? [`order ${orderId} is ${status} and still has stock reserved`]
        : [];
    }),
  );
};

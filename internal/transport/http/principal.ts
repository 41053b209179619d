/** The principal of a request: its subject, its roles, and the orders it may access. */

export const ROLES = ['customer', 'restaurant', 'rider', 'operator'] as const;
export type Role = (typeof ROLES)[number];

export interface Principal {
  /** The token's `sub`: the customer's, restaurant's or rider's id, or the operator's name; 1 to 128 characters. */
  readonly subject: string;
  readonly roles: readonly Role[];
  /** When the token is no longer accepted, epoch ms; absent without authentication. */
  readonly expiresAt?: number;
}

/** The owners of an order or view; an absent id matches no principal. */
export interface Ownership {
  readonly customerId?: string | undefined;
  readonly restaurantId?: string | undefined;
  readonly riderId?: string | undefined;
}

/** Operators, and the customer whose order it is; others see of a customer only what their part in the order needs. */
export function isOwnOrder({ subject, roles }: Principal, { customerId }: Ownership): boolean {
  return roles.includes('operator') || (roles.includes('customer') && customerId === subject);
}

export function mayReach({ subject, roles }: Principal, owner: Ownership): boolean {
  return (
    roles.includes('operator') ||
    (roles.includes('customer') && owner.customerId === subject) ||
    (roles.includes('restaurant') && owner.restaurantId === subject) ||
    (roles.includes('rider') && owner.riderId === subject)
  );
}

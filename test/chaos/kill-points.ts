/** The named points at which a process is killed: calls of its drivers, told from outside the product. */

/** A call of a driver; `kill-at-call.ts` watches for it in the process. */
export interface Call {
  readonly driver: 'pg' | 'redis' | 'kafka send' | 'kafka commit' | 'fetch';
  readonly when: 'before' | 'after';
  /** A regular expression, without regard to case, for the statement's name or text, the command, or the URL. */
  readonly match: string;
}

export interface Point {
  readonly call: Call;
  readonly victims: readonly string[];
  readonly withinFirst: number;
  readonly only?: 'postgres' | 'kafka';
}

const WITH_TRANSACTIONS = [
  'processing-service-1',
  'inventory-service',
  'payment-service',
  'restaurant-service',
  'delivery-service',
];

export const POINTS = {
  'before COMMIT': {
    call: { driver: 'pg', when: 'before', match: '^commit' },
    victims: WITH_TRANSACTIONS,
    withinFirst: 8,
  },
  'after COMMIT': {
    call: { driver: 'pg', when: 'after', match: '^commit' },
    victims: WITH_TRANSACTIONS,
    withinFirst: 8,
  },
  'orders stored, not answered': {
    call: { driver: 'pg', when: 'after', match: '^place-orders' },
    victims: ['order-service'],
    withinFirst: 4,
  },
  'published, not acknowledged': {
    call: { driver: 'redis', when: 'before', match: '^zremrangebyscore' },
    victims: ['scheduler-worker-1', 'scheduler-worker-2'],
    withinFirst: 3,
  },
  'relayed, cursor not moved': {
    call: { driver: 'kafka send', when: 'after', match: '' },
    victims: ['event-relay'],
    withinFirst: 5,
    only: 'kafka',
  },
  'effect stored, offset not committed': {
    call: { driver: 'kafka commit', when: 'before', match: '' },
    victims: ['processing-service-1', 'inventory-service', 'payment-service'],
    withinFirst: 5,
    only: 'kafka',
  },
  'stock returned, not committed': {
    call: { driver: 'pg', when: 'after', match: '^release-reservations' },
    victims: ['inventory-service'],
    withinFirst: 2,
  },
  'money returned, not stored': {
    call: { driver: 'fetch', when: 'after', match: '/(voids|refunds)$' },
    victims: ['payment-service'],
    withinFirst: 2,
  },
} as const satisfies Readonly<Record<string, Point>>;

export type PointName = keyof typeof POINTS;

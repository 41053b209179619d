/** The named points at which a process is killed: calls of its drivers, told from outside the product. */

/** A call of a driver; `member-calls.ts` watches for it in the process. */
export interface Call {
  readonly driver: 'pg' | 'redis' | 'kafka send' | 'kafka commit' | 'http';
  readonly when: 'before' | 'after';
  /** A regular expression, without regard to case, for the statement's name or text, the command, or the path. */
  readonly match: string;
}

export interface Point {
  readonly call: Call;
  /** Services, one of whose processes is the victim. */
  readonly victims: readonly string[];
  readonly withinFirst: number;
  readonly only?: 'postgres' | 'kafka';
}

const WITH_TRANSACTIONS = [
  'processing-service',
  'inventory-service',
  'payment-service',
  'restaurant-service',
  'delivery-service',
];

export const POINTS: Readonly<Record<string, Point>> = {
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
  'added to the schedule, cursor not moved': {
    call: { driver: 'pg', when: 'before', match: '^move-cursor' },
    victims: ['scheduler-worker'],
    withinFirst: 5,
    only: 'postgres',
  },
  'published, not acknowledged': {
    call: { driver: 'redis', when: 'before', match: '^zremrangebyscore' },
    victims: ['scheduler-worker'],
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
    victims: ['scheduler-worker', 'processing-service', 'inventory-service', 'payment-service'],
    withinFirst: 5,
    only: 'kafka',
  },
  'stock returned, not committed': {
    call: { driver: 'pg', when: 'after', match: '^release-reservations' },
    victims: ['inventory-service'],
    withinFirst: 2,
  },
  'rider released, not committed': {
    call: { driver: 'pg', when: 'after', match: '^release-places' },
    victims: ['delivery-service'],
    withinFirst: 2,
  },
  'money returned, not stored': {
    call: { driver: 'http', when: 'after', match: '/(voids|refunds)$' },
    victims: ['payment-service'],
    withinFirst: 2,
  },
};

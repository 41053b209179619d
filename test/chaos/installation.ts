/** What a run breaks: servers, providers and the processes of Tiffin, ready to take orders. */

import { bundle, bundled } from '../support/bundle.ts';
import { startProvider } from '../support/notification-provider.ts';
import { until } from '../support/until.ts';
import type { Scene, Stream } from './fault.ts';
import { type Fleet, fleetOf } from './fleet.ts';
import { startPayments } from './providers.ts';
import { startServers } from './servers.ts';
import { serverOf } from './town.ts';

export interface Installation extends Omit<Scene, 'latestOrder'> {
  /** The address of the process that serves a path. */
  readonly urlOf: (method: string, path: string) => string;
}

const START_LIMIT_MS = 180_000;

const SETTINGS = {
  DATABASE_POOL: '4',
  SEED: 'none',
  DISPATCH_LEASE_MS: '2000',
  DEADLINE_PROCESSING_S: '120',
  DEADLINE_ACCEPTANCE_S: '120',
  DEADLINE_RIDER_S: '120',
  DEADLINE_PICK_UP_S: '120',
  DEADLINE_DELIVERY_S: '120',
  DEADLINE_COLLECTION_S: '120',
  ETA_REFRESH_MS: '2000',
};

const MEMBER = 'test/chaos/member.ts';

/** Data and logs go to `dir`; `closing` takes what ends each part. */
export async function startInstallation(
  dir: string,
  stream: Stream,
  onSmallDisks: boolean,
  closing: (() => unknown)[],
): Promise<Installation> {
  const [servers] = await Promise.all([startServers(dir, stream, onSmallDisks), bundle(dir, [MEMBER])]);
  closing.push(() => servers.stop());
  const { proxies } = servers;
  const messages = await startProvider();
  closing.push(() => messages.down());
  const urlOf = (method: string, url: string) => fleet.members.get(serverOf(method, url))?.url ?? '';
  const payments = await startPayments(() => `${urlOf('POST', '/webhooks/payments')}/webhooks/payments`);
  closing.push(() => payments.close());
  const addresses = {
    DATABASE_URL: proxies.postgres?.url ?? '',
    REDIS_URL: proxies.redis?.url ?? '',
    ...(proxies.kafka ? { KAFKA_BROKERS: new URL(proxies.kafka.url).host } : {}),
    PAYMENT_URL: payments.url,
    PAYMENT_WEBHOOK_SECRET: payments.secret,
    NOTIFICATION_URL: messages.url,
  };
  const fleet = fleetOf({ ...SETTINGS, ...addresses }, bundled(dir, MEMBER), dir);
  closing.push(() => fleet.stop());
  await startFleet(fleet, stream);
  return { servers, messages, payments, fleet, urlOf };
}

async function startFleet(fleet: Fleet, stream: Stream): Promise<void> {
  await Promise.all([
    fleet.add('order-service', ['order-service']),
    ...(stream === 'kafka' ? [fleet.add('event-relay', ['event-relay'])] : []),
    ...[1, 2].map((n) => fleet.add(`scheduler-worker-${n}`, ['scheduler-worker'])),
    ...[1, 2].map((n) => fleet.add(`processing-service-${n}`, ['processing-service'])),
    fleet.add('inventory-service', ['inventory-service']),
    fleet.add('payment-service', ['payment-service']),
    fleet.add('restaurant-service', ['restaurant-service']),
    fleet.add('delivery-service', ['delivery-service']),
    fleet.add('query-service', ['query-service', 'notification-service']),
  ]);
  for (const member of fleet.members.values())
    await until(`${member.name} to be ready`, member.isReady, START_LIMIT_MS);
}

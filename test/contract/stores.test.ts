/** The stores on Postgres and those of the simulator do the same. */
import { after, before } from 'node:test';
import { eventLogContract } from './event-log.ts';
import { fulfilmentContract } from './fulfilment.ts';
import { orderStoreContract } from './order-store.ts';
import { ridersContract } from './riders.ts';
import { scheduleContract } from './schedule.ts';
import { stockContract } from './stock.ts';
import { transactionsContract } from './transactions.ts';
import { postgresWorld, simulatedWorld } from './worlds.ts';

const postgres = postgresWorld();
before(postgres.before);
after(postgres.after);

const WORLDS = [
  ['on Postgres', postgres.world],
  ['of the simulator', simulatedWorld()],
] as const;

for (const [name, world] of WORLDS) {
  transactionsContract(name, world);
  eventLogContract(name, world);
  orderStoreContract(name, world);
  scheduleContract(name, world);
  stockContract(name, world);
  fulfilmentContract(name, world);
  ridersContract(name, world);
}

/** Erases what is stored about a customer, in short steps that may be repeated; amounts, ids, statuses and times stay. */
import { announce } from '../../domain/announce.ts';
import { ERASED_FACT, eraseOrder, withoutPerson } from '../../domain/erasure.ts';
import { TiffinError } from '../../domain/errors.ts';
import { isFinal, type OrderId } from '../../domain/order.ts';
import type { Clock, Log, Transactions } from '../ports.ts';
import type { History, OrderViews, ViewSource } from '../views/ports.ts';
import { ERASED_ROWS, type ErasedRows, type PersonalData } from './ports.ts';

const PRODUCER = 'maintenance-service';
/** Orders of one transaction. */
const BATCH = 50;
/** How many open orders a refusal names. */
const NAMED = 20;
const EVERY_MS = 15_000;
/** A request that was begun so long ago has died with its process. */
const ABANDONED_MS = 60_000;
/** What was read before an erasure is stored by then: no statement, call or transaction takes so long. */
const UNDER_WAY_MS = 300_000;

export interface EraseDeps {
  readonly personalData: PersonalData;
  readonly transactions: Transactions;
  readonly viewSource: ViewSource;
  readonly views: OrderViews;
  readonly history: History;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
}

/** Returns how many rows were erased now: none when it is asked for again. Throws ORDERS_OPEN. */
export async function eraseCustomer(deps: EraseDeps, customerId: string): Promise<ErasedRows> {
  const open = await deps.personalData.ordersOf(customerId, 'open', NAMED);
  if (open.length > 0)
    throw new TiffinError(
      'ORDERS_OPEN',
      `these orders of '${customerId}' have not ended: ${open.join(', ')}; cancel them, or ask again when they have ended`,
    );
  await deps.personalData.note(customerId, 'requested', deps.clock.now());
  const rows = await eraseAll(deps, customerId);
  await deps.personalData.note(customerId, 'erased', deps.clock.now());
  deps.log.info({ customer: customerId, ...rows }, 'what is stored about a customer was erased');
  return rows;
}

/**
 * An eraser is responsible for erasures whose process died, and for a second look at finished ones: whoever read a person's
 * data just before may have stored them just after. Returns the milliseconds to sleep.
 */
export function eraser(deps: EraseDeps): () => Promise<number> {
  return async () => {
    const now = deps.clock.now();
    const before = { requested: now - ABANDONED_MS, erased: now - UNDER_WAY_MS };
    for (const { customerId, isErased } of await deps.personalData.unfinished(before))
      await finish(deps, customerId, isErased).catch((err) =>
        deps.log.warn({ customer: customerId, err }, 'an erasure failed and is tried again'),
      );
    return EVERY_MS;
  };
}

/** One that only now is erased for the first time gets its second look later. */
async function finish(deps: EraseDeps, customerId: string, isErased: boolean): Promise<void> {
  const rows = await eraseAll(deps, customerId);
  await deps.personalData.note(customerId, isErased ? 'settled' : 'erased', deps.clock.now());
  if (Object.values(rows).some((count) => count > 0))
    deps.log.info({ customer: customerId, ...rows }, 'an erasure was finished');
}

async function eraseAll(deps: EraseDeps, customerId: string): Promise<ErasedRows> {
  const { personalData, viewSource, views, history } = deps;
  const total = Object.fromEntries(ERASED_ROWS.map((what) => [what, 0])) as ErasedRows;
  const add = (rows: Partial<ErasedRows>) => {
    for (const what of ERASED_ROWS) total[what] += rows[what] ?? 0;
  };
  const earlier = await personalData.erasedOf(customerId);
  for (let at = 0; at < earlier.length; at += BATCH) {
    const ids = earlier.slice(at, at + BATCH);
    add(await deps.transactions.run((tx) => personalData.eraseOrders(tx, customerId, ids, deps.clock.now())));
  }
  for (;;) {
    const ids = await personalData.ordersOf(customerId, 'unerased', BATCH);
    if (ids.length === 0) break;
    add(await eraseOrders(deps, customerId, ids));
    await views
      .put(await viewSource.read(ids))
      .catch((err) => deps.log.warn({ err }, 'views of erased orders are replaced later'));
  }
  const all = await personalData.erasedOf(customerId);
  add({ history: await history.rewrite(all, ({ payload }) => withoutPerson(payload)) });
  add(await personalData.eraseTraces(customerId, new Set(all)));
  return total;
}

/** The erasure is announced as a fact of each order, so that other programs and caches learn of it. */
function eraseOrders(
  { transactions, personalData, clock, newId }: EraseDeps,
  customerId: string,
  ids: readonly OrderId[],
): Promise<Partial<ErasedRows>> {
  return transactions.run(async (tx) => {
    const at = clock.now();
    const ended = [...(await tx.lockOrders(ids)).values()].filter(({ status }) => isFinal(status));
    const erased = ended.map((order) => eraseOrder(order, at));
    await tx.saveOrders(erased);
    const endedIds = erased.map(({ id }) => id);
    const rows = await personalData.eraseOrders(tx, customerId, endedIds, at);
    const noted = { type: 'noted', at, fact: ERASED_FACT } as const;
    await tx.appendEvents(erased.map((order) => announce(noted, order, newId(), { producer: PRODUCER })));
    return { ...rows, orders: erased.length };
  });
}

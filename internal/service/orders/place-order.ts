/** Places orders: each order, its order.created event and the response to its idempotency key are stored in one transaction. */
import { announce, type Origin } from '../../domain/announce.ts';
import { TiffinError } from '../../domain/errors.ts';
import type { Order, OrderContent } from '../../domain/order.ts';
import { evolve, place } from '../../domain/order-decisions.ts';
import { type GroupCommitOptions, groupCommit } from '../group-commit.ts';
import { type Idempotency, keyReused, responseTo } from '../idempotency.ts';
import type { Clock, Meter, StoredResponse } from '../ports.ts';
import type { OrderStore, Placement, PlacementOutcome } from './ports.ts';

export interface PlaceDeps {
  readonly orders: OrderStore;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly newEventId: () => string;
}

export interface PlaceOrder {
  readonly content: OrderContent;
  /** Epoch ms. */
  readonly scheduledAt?: number | undefined;
  /** SHA-256 of the request's content. */
  readonly fingerprint: string;
  readonly origin: Origin;
  readonly idempotency?: Idempotency<Order> | undefined;
}

export type PlaceResult =
  | { readonly outcome: 'placed'; readonly order: Order }
  /** The same order was placed before under the id that the client chose; `order` is as it was then. */
  | { readonly outcome: 'repeated'; readonly order: Order }
  /** The idempotency key has a stored response. */
  | { readonly outcome: 'answered'; readonly answer: StoredResponse }
  | { readonly outcome: 'refused'; readonly error: TiffinError };

/** Places all orders in one transaction; one result for each command, in the same order. */
export async function placeOrders(deps: PlaceDeps, commands: readonly PlaceOrder[]): Promise<PlaceResult[]> {
  const now = deps.clock.now();
  const placements = commands.map((command) => toPlacement(deps, command, now));
  const outcomes = await deps.orders.place(placements);
  const results = await Promise.all(
    outcomes.map((outcome, index) =>
      toResult(deps, outcome, placements[index] as Placement, commands[index] as PlaceOrder),
    ),
  );
  deps.meter.count('orders_placed', results.filter(({ outcome }) => outcome === 'placed').length);
  return results;
}

function toPlacement(deps: PlaceDeps, command: PlaceOrder, now: number): Placement {
  const created = place(command.content, command.scheduledAt, now);
  const order = evolve(undefined, created);
  const event = announce(created, order, deps.newEventId(), command.origin);
  const { fingerprint, idempotency } = command;
  if (!idempotency) return { order, event, fingerprint };
  return {
    order,
    event,
    fingerprint,
    idempotency: { key: idempotency.key, answer: responseTo(idempotency, order) },
  };
}

async function toResult(
  deps: PlaceDeps,
  outcome: PlacementOutcome,
  { order, fingerprint, idempotency }: Placement,
  command: PlaceOrder,
): Promise<PlaceResult> {
  switch (outcome.outcome) {
    case 'placed':
      return { outcome: 'placed', order };
    case 'answered':
      return outcome.answer.fingerprint === idempotency?.key.fingerprint
        ? { outcome: 'answered', answer: outcome.answer }
        : { outcome: 'refused', error: keyReused() };
    case 'id-taken':
      return outcome.fingerprint === fingerprint
        ? { outcome: 'repeated', order: await repeat(deps, command, outcome.order.createdAt) }
        : {
            outcome: 'refused',
            error: new TiffinError('ORDER_ID_TAKEN', `order '${order.id}' already exists with other content`),
          };
  }
}

/** Rebuilds the order as it was when it was placed, so that the response is the same, and stores that under the request's key. */
async function repeat(
  { orders }: PlaceDeps,
  { content, scheduledAt, idempotency }: PlaceOrder,
  createdAt: number,
): Promise<Order> {
  const order = evolve(undefined, place(content, scheduledAt, createdAt));
  if (idempotency) await orders.saveResponse(idempotency.key, responseTo(idempotency, order));
  return order;
}

/** Places one order for each call; orders of concurrent calls share a transaction. A key whose request is still running is refused. */
export function orderPlacer(
  deps: PlaceDeps,
  options: GroupCommitOptions,
): (command: PlaceOrder) => Promise<PlaceResult> {
  const commit = groupCommit((commands: readonly PlaceOrder[]) => placeOrders(deps, commands), options);
  const inFlight = new Set<string>();
  return async (command) => {
    const key = command.idempotency?.key;
    if (!key) return commit(command);
    const name = JSON.stringify([key.principal, key.operation, key.key]);
    if (inFlight.has(name)) {
      const error = new TiffinError(
        'IDEMPOTENCY_KEY_IN_FLIGHT',
        'a request with this idempotency key is still in progress',
      );
      return { outcome: 'refused', error };
    }
    inFlight.add(name);
    try {
      return await commit(command);
    } finally {
      inFlight.delete(name);
    }
  };
}

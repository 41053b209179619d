/** Payments for tests: the ledger and timers in memory, and a bank that records the money of each order. */
import { TiffinError } from '../../internal/domain/errors.ts';
import type { OrderId } from '../../internal/domain/order.ts';
import type { Payment, PaymentAnswer } from '../../internal/domain/payment.ts';
import type { PaymentProvider, PaymentRequest, Payments } from '../../internal/service/payments/ports.ts';
import type { Timer, Timers } from '../../internal/service/scheduling/ports.ts';

export interface MemoryPayments extends Payments {
  readonly rows: Map<OrderId, Payment>;
}

export function memoryPayments(): MemoryPayments {
  const rows = new Map<OrderId, Payment>();
  const find = async (ids: readonly OrderId[]) =>
    new Map(ids.flatMap((id) => (rows.has(id) ? [[id, rows.get(id) as Payment] as const] : [])));
  return {
    rows,
    find,
    lock: (_tx, ids) => find(ids),
    async save(_tx, payments) {
      for (const payment of payments) rows.set(payment.orderId, payment);
    },
  };
}

export interface MemoryTimers extends Pick<Timers, 'set' | 'clear'> {
  /** When each order's timer runs out, epoch ms. */
  readonly due: Map<OrderId, number>;
}

/** Timers of one kind. */
export function memoryTimers(): MemoryTimers {
  const due = new Map<OrderId, number>();
  return {
    due,
    async set(_tx, timers: readonly Timer[]) {
      for (const { orderId, dueAt } of timers) due.set(orderId, dueAt);
    },
    async clear(_tx, timers) {
      for (const { orderId } of timers) due.delete(orderId);
    },
  };
}

/** `lost` carries a request out but gives no answer, `away` does neither; only authorizations are `pending`. */
export type Manner = 'answered' | 'lost' | 'away' | 'pending';

/** The bank's record of one order: the number of charges, and amounts in minor units. */
export interface Account {
  charges: number;
  held: number;
  captured: number;
  refunded: number;
}

export interface Bank extends PaymentProvider {
  readonly requests: readonly PaymentRequest[];
  /** Requests that contradict the order's account; a correct program never sends them. */
  readonly faults: readonly string[];
  account(orderId: string): Account;
}

/** Stores its answer to each key. `mannerOf` chooses how a request is treated; `refuses` declines a card. */
export function bank({
  mannerOf = (_request: PaymentRequest): Manner => 'answered',
  refuses = (_orderId: string): boolean => false,
  pass = async (): Promise<void> => {},
} = {}): Bank {
  const requests: PaymentRequest[] = [];
  const faults: string[] = [];
  const done = new Map<string, PaymentAnswer>();
  const abandoned = new Set<string>();
  const accounts = new Map<string, Account>();
  const account = (orderId: string) => {
    const known = accounts.get(orderId) ?? { charges: 0, held: 0, captured: 0, refunded: 0 };
    accounts.set(orderId, known);
    return known;
  };

  function carryOut({ orderId, step, amount, authorizationKey = '' }: PaymentRequest): PaymentAnswer {
    const own = account(orderId);
    const expect = (isSo: boolean) => {
      if (!isSo) faults.push(`${step} of ${orderId} with ${JSON.stringify(own)}`);
    };
    switch (step) {
      case 'authorize':
        if (abandoned.has(orderId)) return { outcome: 'declined', reason: 'ABANDONED' };
        if (refuses(orderId)) return { outcome: 'declined', reason: 'CARD_DECLINED' };
        own.charges += 1;
        own.held += amount.minor;
        return { outcome: 'done', authorizationId: `auth-${orderId}` };
      case 'abandon':
        expect(authorizationKey === `${orderId}:authorize`);
        abandoned.add(orderId);
        own.held = 0;
        break;
      case 'capture':
        expect(own.held === amount.minor);
        own.captured += amount.minor;
        own.held = 0;
        break;
      case 'void':
        expect(own.captured === 0);
        own.held = 0;
        break;
      case 'refund':
        expect(own.captured === amount.minor);
        own.refunded += amount.minor;
    }
    return { outcome: 'done' };
  }

  return {
    requests,
    faults,
    account,
    async carryOut(request) {
      await pass();
      const manner = mannerOf(request);
      requests.push(request);
      const key = request.idempotencyKey;
      if (manner === 'away') throw new TiffinError('UNAVAILABLE', 'the payment provider is unavailable');
      const isPending = manner === 'pending' && request.step === 'authorize' && !done.has(key);
      const answer = done.get(key) ?? (isPending ? { outcome: 'pending' as const } : carryOut(request));
      if (!isPending) done.set(key, answer);
      await pass();
      if (manner === 'lost') throw new TiffinError('UNAVAILABLE', 'the answer was lost');
      return answer;
    },
  };
}

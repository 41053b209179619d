/** The members of the due queue: the name and score of each, and what the reply to a claim says of them. */
import type { OrderId } from '../../domain/order.ts';
import type { TimerKind } from '../../domain/schedule.ts';
import type { Claim, ScheduleState, Waiting } from '../../service/scheduling/ports.ts';

const ORDER = 'order:';

/** A member of the sorted set: 'order' or the timer's kind, and the order id. */
export function memberOf(orderId: OrderId, kind: TimerKind | undefined): string {
  return kind === undefined ? ORDER + orderId : `${kind}:${orderId}`;
}

/** The arguments of ZADD: due time and member of each. */
export function scoredMembers(waiting: readonly Waiting[]): (string | number)[] {
  const scored: (string | number)[] = [];
  for (const { orderId, dueAt, kind } of waiting) scored.push(dueAt, memberOf(orderId, kind));
  return scored;
}

/** `lease` and what follows it are the end of the reply of claim.lua. */
export function toClaim(
  state: ScheduleState,
  now: number,
  [lease, next, ...scored]: string[],
  limit: number,
): Claim {
  const due: Waiting[] = [];
  const redelivered: OrderId[] = [];
  const timers: Claim['timers'][number][] = [];
  for (let i = 0; i < scored.length; i += 2) {
    const member = scored[i] as string;
    const score = Number(scored[i + 1]);
    // An integer score is a due time; a score with a fraction is a lease that ran out.
    const isFirst = Number.isInteger(score);
    if (!member.startsWith(ORDER)) timers.push(toTimer(member, isFirst ? score : now));
    else if (isFirst) due.push({ orderId: member.slice(ORDER.length) as OrderId, dueAt: score });
    else redelivered.push(member.slice(ORDER.length) as OrderId);
  }
  return {
    state,
    now,
    lease: lease ?? '0',
    due,
    redelivered,
    timers,
    nextDueAt: next ? Number(next) : undefined,
    full: scored.length / 2 === limit,
  };
}

function toTimer(member: string, dueAt: number): Claim['timers'][number] {
  const end = member.indexOf(':');
  return { kind: member.slice(0, end) as TimerKind, orderId: member.slice(end + 1) as OrderId, dueAt };
}

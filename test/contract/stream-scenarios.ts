/** What the scenarios of the event bus share: events, subscriptions, dying members, and what took effect. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Delivery, Subscription } from '../../internal/service/stream/ports.ts';
import { until } from '../support/until.ts';
import type { Death } from './dying-member.ts';
import {
  type Effect,
  effectsOf,
  type Member,
  type Processing,
  processing,
  versionsOf,
} from './stream-member.ts';

const DYING_MEMBER = fileURLToPath(new URL('dying-member.ts', import.meta.url));

/** `orders` orders of `each` events, the orders interleaved. */
export function manyEvents(orders: number, each: number): Processing[] {
  const ids = Array.from({ length: orders }, () => randomUUID());
  return Array.from({ length: each }, (_, index) => ids.map((id) => processing(id, index + 1))).flat();
}

/** Asserts that exactly these events took effect, each once and in sequence within its order. */
export async function allApplied(
  member: Member,
  group: string,
  events: readonly Processing[],
): Promise<void> {
  let effects: Effect[] = [];
  await until(`${events.length} events took effect`, async () => {
    effects = await effectsOf(member.pool, group);
    return effects.length >= events.length;
  });
  assert.deepEqual(
    byOrder(effects),
    byOrder(events.map(({ orderId, payload }) => ({ orderId, version: payload.version }))),
  );
}

function byOrder(effects: readonly Effect[]): Record<string, number[]> {
  const orderIds = [...new Set(effects.map(({ orderId }) => orderId))].sort();
  return Object.fromEntries(orderIds.map((orderId) => [orderId, versionsOf(effects, orderId)]));
}

export async function dies(death: Death): Promise<void> {
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), DYING_MEMBER, JSON.stringify(death)],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const timer = setTimeout(() => child.kill('SIGTERM'), 60_000);
  const [, signal] = await once(child, 'exit');
  clearTimeout(timer);
  assert.equal(signal, 'SIGKILL', 'it killed itself');
}

export function refuse(poison: Processing): (events: readonly Processing[]) => void {
  return (events) => {
    if (events.some((event) => event.eventId === poison.eventId)) throw new RangeError('cannot stomach this');
  };
}

/** A subscription under a new group that records every delivery, redeliveries included. */
export function listener(
  { deps }: Member,
  topic: string,
  heard: Delivery[],
  hold: Promise<void> = Promise.resolve(),
): Subscription {
  return {
    group: randomUUID(),
    topics: [topic],
    types: ['order.processing'],
    async handle({ deliveries, settle }) {
      heard.push(...deliveries);
      await hold;
      await deps.transactions.run(settle);
    },
  };
}

export function eventIdOf({ record }: Delivery): unknown {
  return (record as { eventId?: unknown }).eventId;
}

export async function lettersOf({ pool }: Member, orderId: string): Promise<number> {
  const { rows } = await pool.query('SELECT count(*)::int AS count FROM dead_letters WHERE order_id = $1', [
    orderId,
  ]);
  return rows[0].count;
}

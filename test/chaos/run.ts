/** One run: lets the world go on while faults come one after the other, and audits what is left. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { audit, type Report } from '../../cmd/audit/audit.ts';
import { historyOf } from '../../cmd/audit/history.ts';
import { buildWorld, hasEnded } from '../../cmd/demo/world.ts';
import { chaosClient } from './clients.ts';
import { customersOf } from './customers.ts';
import { endState } from './end-state.ts';
import { describeFault, type Fault, type Stream } from './fault.ts';
import { recorder } from './history.ts';
import { type Installation, startInstallation } from './installation.ts';
import { NEEDS_A_DISK } from './plan.ts';
import { untilQuiet } from './quiet.ts';
import { type Recovery, recover } from './recovery.ts';
import { addKitchen, KITCHEN_STOCK, openTown } from './town.ts';

export interface Experience extends Recovery {
  /** The fault's. */
  readonly kind: string;
  /** False if the fault did not come about. */
  readonly happened: boolean;
}

export interface Outcome {
  readonly report: Report;
  readonly experiences: readonly Experience[];
  /** Why the run fails although every invariant holds. */
  readonly complaints: readonly string[];
  readonly orders: number;
  readonly historyFile: string;
}

export interface RunOptions {
  readonly stream: Stream;
  readonly plan: readonly Fault[];
  readonly orders: number;
  /** Orders go on within this time after each fault. */
  readonly recoveryMs: number;
  readonly say: (line: string) => void;
}

const QUIET_LIMIT_MS = 240_000;
const ORDER_EVERY_MS = 200;
/** Orders are on their way when a fault begins. */
const HEAD_START_MS = 1_000;
const SKEW_MS = 100;
const MANY_FAULTS = 12;
const PROGRESS_MS = 2_000;

export async function run(options: RunOptions): Promise<Outcome> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-chaos-'));
  fs.chmodSync(dir, 0o755);
  const closing: (() => unknown)[] = [];
  let ending: Promise<void> | undefined;
  const end = () => {
    ending ??= closeAll(closing);
    return ending;
  };
  const onSignal = () => void end().finally(() => process.exit(130));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, onSignal);
  try {
    return await runIn(dir, options, closing);
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal);
    await end();
  }
}

async function closeAll(closing: (() => unknown)[]): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close();
}

async function runIn(
  dir: string,
  { stream, plan, orders, recoveryMs, say }: RunOptions,
  closing: (() => unknown)[],
): Promise<Outcome> {
  const began = performance.now();
  const onSmallDisks = plan.some(({ kind }) => NEEDS_A_DISK.includes(kind));
  const installation = await startInstallation(dir, stream, onSmallDisks, closing);
  const { urlOf, servers } = installation;
  const history = recorder();
  const client = chaosClient(urlOf, history);
  const world = await buildWorld(client);
  const kitchen = await addKitchen(client);
  const initialStock = new Map(world.items.map(({ id, stock }) => [id, stock]));
  initialStock.set(kitchen.itemId, KITCHEN_STOCK);

  const experiences: Experience[] = [];
  const complaints: string[] = [];
  let now = 'begins';
  const progress = setInterval(() => {
    const ended = [...world.orders.values()].filter(hasEnded).length;
    const seconds = Math.round((performance.now() - began) / 1_000);
    say(`${seconds} s | ${now} | ${world.orders.size} orders, ${ended} ended | ${client.retries()} retries`);
  }, PROGRESS_MS);
  closing.push(() => clearInterval(progress));
  const close = openTown(world);
  closing.push(close);

  const each = Math.ceil(orders / plan.length);
  const customers = customersOf(world, kitchen);
  const scene = { ...installation, latestOrder: () => [...world.orders.keys()].at(-1) ?? 'none' };
  for (const [n, fault] of plan.entries()) {
    now = `${n + 1}/${plan.length} ${describeFault(fault)}`;
    let isOver = false;
    const coming = customers.come(each, ORDER_EVERY_MS, () => isOver);
    await pause(HEAD_START_MS);
    const happened = await fault.cause(scene).catch((error: Error) => {
      complaints.push(`${describeFault(fault)} could not be caused: ${error.message}`);
      return false;
    });
    const recovery = await recover({ ...installation, world, history }, recoveryMs);
    isOver = true;
    experiences.push({ kind: fault.kind, happened, ...recovery });
    if (recovery.ordersMs === undefined || recovery.readyMs === undefined) {
      complaints.push(`not recovered within ${recoveryMs / 1_000} s: ${describeFault(fault)}`);
      complaints.push(...(await unready(installation)));
    }
    await coming;
  }

  now = 'until all is quiet';
  await customers.served().catch((error: Error) => complaints.push(error.message));
  const open = await untilQuiet(servers.databaseUrl, QUIET_LIMIT_MS);
  if (open) complaints.push(`not quiet within ${QUIET_LIMIT_MS / 1_000} s: ${open}`);
  await close();
  clearInterval(progress);
  const endedAt = Date.now();
  complaints.push(...world.surprises);
  const lines = [
    ...history.lines,
    { type: 'state' as const, kind: 'run' as const, endedAt, skewMs: SKEW_MS },
    ...(await endState({
      databaseUrl: servers.databaseUrl,
      redisUrl: servers.redis.primary().url,
      initialStock,
      books: installation.payments.books,
      posts: installation.messages.posts,
    })),
    ...experiences
      .filter(({ happened }) => happened)
      .map(({ kind }) => ({ type: 'state' as const, kind: 'mark' as const, name: kind })),
  ];
  const historyFile = path.join(dir, 'history.jsonl');
  fs.writeFileSync(historyFile, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const report = audit(historyOf(lines), neededMarks(plan));
  return { report, experiences, complaints, orders: world.orders.size, historyFile };
}

async function unready({ fleet }: Installation): Promise<string[]> {
  const found: string[] = [];
  for (const member of fleet.members.values())
    if (!(await member.isReady())) found.push(`${member.name} is not ready: ${await member.readiness()}`);
  return found;
}

/** Every transition and race that the customers of a batch are there for, and each fault of the plan. */
function neededMarks(plan: readonly Fault[]): string[] {
  return [
    ...['place:ok', 'cancel:ok', 'cancel:fail', 'reschedule:ok', 'reschedule:fail'],
    // A few orders may miss the moment of their start.
    ...(plan.length < MANY_FAULTS ? [] : ['cancel~start', 'reschedule~start']),
    ...['CREATED>CANCELLED', 'CREATED>PROCESSING', 'PROCESSING>COMPLETED', 'PROCESSING>CONFIRMED'],
    ...['PROCESSING>FAILED', 'CONFIRMED>REJECTED', 'PREPARING>CANCELLED', 'OUT_FOR_DELIVERY>DELIVERED'],
    ...new Set(plan.map(({ kind }) => kind)),
  ];
}

/** Measures how soon a second process does the work of one that was killed or stopped, or whose host fell silent. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Program, startProgram } from '../../test/support/program.ts';
import { until } from '../../test/support/until.ts';
import { ordersOn, type Watched } from './orders.ts';
import { longest } from './outage.ts';
import type { Link, Servers } from './servers.ts';

/** Orders are due this often, from before the loss until after it. */
const DUE_EVERY_MS = 100;
const BEFORE_MS = 1_000;
const AFTER_MS = 1_000;
const WITHIN_MS = 60_000;

interface Member {
  readonly program: Program;
  readonly link: Link;
}

interface Loss {
  readonly name: string;
  readonly hasOwnLinks?: true;
  begin(member: Member): Promise<void>;
  end(member: Member): Promise<void>;
}

const LOSSES: readonly Loss[] = [
  { name: 'killed (SIGKILL)', begin: ({ program }) => program.kill(), end: async () => {} },
  {
    name: 'stopped (SIGSTOP)',
    begin: async ({ program }) => void program.child.kill('SIGSTOP'),
    async end({ program }) {
      program.child.kill('SIGKILL');
    },
  },
  {
    name: 'host silent',
    hasOwnLinks: true,
    async begin({ link }) {
      link.postgres.vanish();
      link.redis.vanish();
    },
    end: ({ program }) => program.kill(),
  },
];

const ALL = ['order-service', 'scheduler-worker', 'processing-service', 'query-service'];
const ON_KAFKA = [...ALL, 'event-relay'];

/** A row for each loss of each service: the longest wait of an order that was due or placed around it, ms. */
export async function measureTakeovers(
  servers: Servers,
  root: string,
  isWanted: (name: string) => boolean,
  report: (name: string, ms: number) => void,
): Promise<void> {
  const all = servers.kafka ? ON_KAFKA : ALL;
  for (const service of ['scheduler-worker', 'processing-service']) {
    // All processes share the way to Kafka, so the host of one cannot fall silent there.
    const losses = LOSSES.filter(
      ({ name, hasOwnLinks }) => isWanted(`${service} ${name}`) && !(servers.kafka && hasOwnLinks),
    );
    if (losses.length === 0) continue;
    const start = async (services: readonly string[]): Promise<Member> => {
      const link = await servers.link();
      return { link, program: await startProgram(link.env, services, { cwd: root }) };
    };
    const others = await start(all.filter((one) => one !== service));
    let active = await start([service]);
    const first = active;
    const orders = ordersOn(servers);
    try {
      await orders.place(others.program.url, `${service}-${Date.now()}`);
      await orders.settled(WITHIN_MS);
      for (const loss of losses) {
        const standby = await start([service]);
        report(`${service} ${loss.name}`, await measure(others.program.url, active, loss));
        await loss.end(active);
        active = standby;
      }
    } finally {
      await orders.stop();
      await Promise.all([others, active, first].map(({ program }) => program.kill()));
    }

    async function measure(url: string, lost: Member, loss: Loss): Promise<number> {
      const name = `${service}-${loss.name}-${Date.now()}`.replaceAll(/[^\w-]/g, '');
      const due: Watched[] = [];
      const from = BEFORE_MS * 2;
      for (let inMs = from; inMs < from + BEFORE_MS + AFTER_MS; inMs += DUE_EVERY_MS)
        due.push(await orders.place(url, `${name}-due-${inMs}`, inMs));
      const losesAt = (due[0] as Watched).wantedAt + BEFORE_MS;
      await pause(Math.max(0, losesAt - performance.now()));
      await loss.begin(lost);
      const began = performance.now();
      const placed = await orders.place(url, `${name}-placed`);
      await until(
        'the orders to complete',
        () => [...due, placed].every(({ completedAt }) => completedAt),
        WITHIN_MS,
      );
      return longest([...due, placed], began, ({ completedAt }) => completedAt);
    }
  }
}

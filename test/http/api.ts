/** Starts the order service's HTTP API on a free port over adapters in memory, with a client for arbitrary requests. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Catalogue } from '../../internal/service/inventory/ports.ts';
import { orderPlacer } from '../../internal/service/orders/place-order.ts';
import type { OrderStore } from '../../internal/service/orders/ports.ts';
import { dispatchReport } from '../../internal/service/scheduling/dispatch-report.ts';
import { httpApp } from '../../internal/transport/http/app.ts';
import { type Authenticate, noAuth } from '../../internal/transport/http/auth.ts';
import { type Route, routerOf } from '../../internal/transport/http/route.ts';
import { docRoutes } from '../../internal/transport/http/routes/operations/doc-routes.ts';
import { type Check, opsRoutes } from '../../internal/transport/http/routes/operations/ops-routes.ts';
import {
  type OrderRouteDeps,
  orderRoutes,
} from '../../internal/transport/http/routes/orders/order-routes.ts';
import { schedulerRoutes } from '../../internal/transport/http/routes/scheduling/scheduler-routes.ts';
import { deadLetterRoutes } from '../../internal/transport/http/routes/stream/dead-letter-routes.ts';
import { nextId } from '../support/builders.ts';
import { memoryStore } from '../support/in-memory.ts';
import { memoryQueue } from '../support/in-memory-queue.ts';
import { manualClock } from '../support/manual-clock.ts';
import { recordingLog, recordingMeter } from '../support/recording-log.ts';

const emptyCatalogue: Catalogue = {
  look: async () => ({ restaurants: new Map(), menuItems: new Map(), stocks: new Map() }),
  addRestaurant: async () => {},
  addItem: async () => {},
};

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary response bodies
  readonly body: any;
}

export interface Ask {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent unchanged. */
  readonly raw?: string | Buffer;
  readonly chunked?: boolean;
}

export type Api = Awaited<ReturnType<typeof startApi>>;

export async function startApi({
  orders: replaced = {} as Partial<OrderStore>,
  routes = {} as Partial<OrderRouteDeps>,
  checks = [] as Check[],
  maxWaiting = 100,
  authenticate = noAuth() as Authenticate,
  tokens = true,
  more = [] as readonly Route[],
} = {}) {
  const store = memoryStore();
  const clock = manualClock();
  const queue = memoryQueue(clock);
  const log = recordingLog();
  const meter = recordingMeter();
  const orders = { ...store.orders, ...replaced };
  const newEventId = () => nextId('event');
  const place = orderPlacer(
    { orders, clock, meter, newEventId },
    { maxBatch: 100, concurrency: 2, maxWaiting },
  );
  const newOrderId = () => nextId('generated');
  let stopping = false;
  const metrics = { contentType: 'text/plain; version=0.0.4', metrics: async () => '# figures\n' };
  const tables = [
    orderRoutes({
      place,
      orders,
      transactions: store.transactions,
      clock,
      newEventId,
      maxReschedules: 3,
      newOrderId,
      catalogue: emptyCatalogue,
      pricing: { discountAboveMinor: 5_000, discountPercent: 10, feeMinor: 500 },
      currency: 'USD',
      ...routes,
    }),
    schedulerRoutes({
      queue,
      report: dispatchReport({ queue, log, meter }),
      schedulerSwitch: store.schedulerSwitch,
    }),
    deadLetterRoutes(store),
    opsRoutes({ checks, isStopping: () => stopping, metrics }),
    more,
  ];
  const app = httpApp(
    [...tables, docRoutes(tables.flat(), tokens)].map((table) => routerOf(table, authenticate)),
    log,
  );
  const server = createServer(app.callback());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    store,
    clock,
    queue,
    log,
    port,
    routes: tables.flat(),
    beginStopping() {
      stopping = true;
    },
    ask: (method: string, path: string, ask: Ask = {}) => send(port, method, path, ask),
    order: (body: unknown, headers: Record<string, string> = {}) =>
      send(port, 'POST', '/orders', { body, headers }),
    /** The ids of all stored orders. */
    stored: () => [...store.tables.orders.keys()] as string[],
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export async function send(port: number, method: string, path: string, ask: Ask): Promise<Answer> {
  const payload = ask.raw ?? (ask.body === undefined ? undefined : JSON.stringify(ask.body));
  const outgoing = request({
    port,
    method,
    path,
    host: '127.0.0.1',
    agent: false,
    headers: {
      ...(ask.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(payload === undefined || ask.chunked ? {} : { 'content-length': Buffer.byteLength(payload) }),
      ...(ask.chunked ? { 'transfer-encoding': 'chunked' } : {}),
      ...ask.headers,
    },
  });
  const answered = once(outgoing, 'response');
  // The server may close the connection while a large body is still being written.
  outgoing.on('error', () => {});
  outgoing.end(payload);
  const [response] = await answered;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const isJson = /json/.test(response.headers['content-type'] ?? '');
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    body: isJson && text ? JSON.parse(text) : undefined,
  };
}

/** Sends raw text and reads until the server closes the connection. */
export async function speak(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.setEncoding('latin1');
  socket.end(bytes);
  let heard = '';
  for await (const chunk of socket) heard += chunk;
  return heard;
}

/** Asserts that a response is a list of exactly these faults, each with its status as a string. */
export function assertRefused(
  answer: Answer,
  status: number,
  ...faults: { code: string; pointer?: string }[]
) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers['content-type'] ?? '', /^application\/json/);
  assert.deepEqual(Object.keys(answer.body), ['errors']);
  for (const error of answer.body.errors) {
    assert.equal(error.status, String(status));
    assert.ok(error.detail.length > 0);
    assert.match(error.code, /^[A-Z][A-Z_]+$/);
  }
  assert.deepEqual(
    answer.body.errors.map(({ code, pointer }: { code: string; pointer?: string }) => ({
      code,
      ...(pointer === undefined ? {} : { pointer }),
    })),
    faults,
  );
}

/** The status and the error codes of an answer. */
export function codes(answer: Answer): string[] {
  return [String(answer.status), ...answer.body.errors.map(({ code }: { code: string }) => code)];
}

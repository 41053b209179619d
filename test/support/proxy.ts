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
  /** Forwards nothing more on the open connections, not even their end. New connections work. */
  silence(): void;
  /** As the host that has lost its network: also new connections are silent. */
  vanish(): void;
  /** The host is back, and refuses the connections that it does not know; with `stillSilent` they stay as they are. */
  reappear(stillSilent?: boolean): void;
  /** Holds back every piece of data for this time, in either direction. */
  delay(ms: number): void;
  /** Forwards data that match later by this time, this many times, and with them what follows; undefined ends it. */
  holdBack(request: RegExp | undefined, ms: number, times?: number): void;
  /** Cuts a connection instead of forwarding the answer to data that match, this many times; undefined ends it. */
  cutAfter(request: RegExp | undefined, times?: number): void;
  /** Leads new connections to another server; the open ones stay where they are. */
  leadTo(serverUrl: string): void;
  close(): Promise<void>;
}

export async function proxyTo(serverUrl: string): Promise<ServerProxy> {
  let target = new URL(serverUrl);
  let delayMs = 0;
  let fatal: { request: RegExp; left: number } | undefined;
  let late: { request: RegExp; ms: number; left: number } | undefined;
  let hasVanished = false;
  const sockets = new Set<Socket>();
  // A client's end is not answered by itself: a silent server would not.
  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (hasVanished) {
      sockets.add(client.resume());
      client.on('error', () => {});
      return void client.on('close', () => sockets.delete(client));
    }
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
    /** Returns how late the data are passed on, ms. */
    const onRequest = (data: Buffer) => {
      const text = data.toString('latin1');
      if (fatal && fatal.left > 0 && fatal.request.test(text)) {
        fatal.left -= 1;
        upstream.unpipe();
        upstream.once('data', () => client.destroy());
        upstream.resume();
      }
      if (!late || late.left === 0 || !late.request.test(text)) return 0;
      late.left -= 1;
      return late.ms;
    };
    client.pipe(held(onRequest)).pipe(upstream).pipe(held()).pipe(client);
  });
  /** Passes data on in order, after the delay. */
  const held = (look?: (data: Buffer) => number) =>
    new Transform({
      transform(data, _encoding, done) {
        const ms = Math.max(delayMs, look?.(data) ?? 0);
        if (ms > 0) setTimeout(done, ms, null, data);
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
    vanish() {
      hasVanished = true;
      silence();
    },
    reappear(stillSilent = false) {
      hasVanished = false;
      if (stillSilent) return;
      for (const socket of sockets) socket.destroy();
    },
    holdBack(request, ms, times = Number.POSITIVE_INFINITY) {
      late = request && { request, ms, left: times };
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

/** A TCP proxy between a client and a server that can be cut, fall silent, or lead to another server. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface ServerProxy {
  /** The server's URL with the proxy's address in it. */
  readonly url: string;
  /** Ends every connection and accepts no more. */
  cut(): Promise<void>;
  restore(): Promise<void>;
  /** Forwards nothing more on the open connections, which stay open. New connections work. */
  silence(): void;
  /** Leads new connections to another server; the open ones stay where they are. */
  leadTo(serverUrl: string): void;
  close(): Promise<void>;
}

export async function proxyTo(serverUrl: string): Promise<ServerProxy> {
  let target = new URL(serverUrl);
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
    client.pipe(upstream).pipe(client);
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
  const url = new URL(serverUrl);
  url.port = String(port);
  url.hostname = '127.0.0.1';
  return {
    url: url.href,
    cut,
    restore: () => listen(port),
    silence() {
      for (const socket of sockets) {
        socket.unpipe();
        socket.resume(); // what arrives is dropped
      }
    },
    leadTo(other) {
      target = new URL(other);
    },
    close: cut,
  };
}

/** Chooses a loopback port: the one used last if it is free, else the usual one, else any. */
import net from 'node:net';

export const LOOPBACK = '127.0.0.1';

export async function choosePort(candidates: (number | undefined)[]): Promise<number> {
  for (const port of candidates) {
    if (port !== undefined && (await tryPort(port)) !== undefined) return port;
  }
  return (await tryPort(0))!;
}

export async function isFree(port: number): Promise<boolean> {
  return (await tryPort(port)) !== undefined;
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, LOOPBACK, () => {
      const { port: bound } = server.address() as net.AddressInfo;
      server.close(() => resolve(bound));
    });
  });
}

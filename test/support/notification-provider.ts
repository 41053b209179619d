/** A notification provider on its own port; a test chooses its responses and may stop it. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Post {
  readonly key: string | undefined;
  readonly type: string | undefined;
  readonly body: { to: string; template: string; variables: Record<string, string> };
}

export interface TestProvider {
  readonly url: string;
  /** All requests, accepted or refused, oldest first. */
  readonly posts: Post[];
  /** The status of the response; 0 means that no response is sent. */
  answer: (post: Post) => number;
  down(): Promise<void>;
  up(): Promise<void>;
}

export async function startProvider(): Promise<TestProvider> {
  const posts: Post[] = [];
  const server = createServer((request, response) => void take(request, response));
  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { 'idempotency-key': key, 'content-type': type } = request.headers;
    const post = { key: key as string | undefined, type, body: JSON.parse(Buffer.concat(chunks).toString()) };
    posts.push(post);
    const status = provider.answer(post);
    if (status > 0) response.writeHead(status, { Location: '/elsewhere' }).end('an answer');
  }
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const provider: TestProvider = {
    url: `http://127.0.0.1:${port}/messages`,
    posts,
    answer: () => 202,
    async down() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
    up: () => listen(port),
  };
  return provider;
}

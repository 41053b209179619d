/** Requests that arrive slowly or not at all: they end within a limit, and do not hold up a server that closes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { httpServer, type ServerLimits } from '../../internal/transport/http/server.ts';
import { until } from '../support/until.ts';

const LIMITED = { timeout: 60_000 };
const HEAD = 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n';

async function start(t: TestContext, listener: RequestListener, limits: Partial<ServerLimits>) {
  const { server, close } = httpServer(listener, limits);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const connectWith = async (
    bytes: string,
  ): Promise<Socket & { heard: () => string; ended: () => boolean }> => {
    const socket = connect(port, '127.0.0.1');
    let heard = '';
    let ended = false;
    socket.on('data', (chunk) => {
      heard += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      ended = true;
    });
    await once(socket, 'connect');
    socket.write(bytes);
    t.after(() => socket.destroy());
    return Object.assign(socket, { heard: () => heard, ended: () => ended });
  };
  return { server, close, connectWith };
}

const echo: RequestListener = (request, response) => {
  request.resume();
  request.on('end', () => response.end('done'));
};

const SLOW: Readonly<Record<string, [bytes: string, drop: string]>> = {
  'a connection that sends nothing': ['', ''],
  'a request whose headers never end': ['POST / HTTP/1.1\r\nHost: localhost\r\n', 'X-More: 1\r\n'],
  'a request whose body never ends': [`${HEAD}\r\n`, ''],
};
for (const [what, [bytes, more]] of Object.entries(SLOW))
  test(`${what} is ended by the server within the limit`, LIMITED, async (t) => {
    const { connectWith } = await start(t, echo, { arrivalMs: 300, checkMs: 50 });
    const socket = await connectWith(bytes);
    const trickle = setInterval(() => more && socket.write(more), 20);
    t.after(() => clearInterval(trickle));
    await until('its end', socket.ended, 10_000);
  });

test('by default a request has to arrive within half a minute', () => {
  const { server } = httpServer(echo);
  assert.ok(server.requestTimeout > 0 && server.requestTimeout < 30_000);
  assert.ok(server.headersTimeout > 0 && server.headersTimeout < 30_000);
});

test(
  'a closing server ends requests that have not arrived, and answers those that have',
  LIMITED,
  async (t) => {
    let answer = () => {};
    let handled = 0;
    const { server, close, connectWith } = await start(
      t,
      (request, response) => {
        handled += 1;
        request.resume();
        if (request.url === '/wait') answer = () => response.end('answered');
      },
      { unfinishedMs: 100 },
    );
    const stalled = [await connectWith(''), await connectWith(HEAD), await connectWith(`${HEAD}\r\nhalf`)];
    const waiting = await connectWith('GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until('two requests to be handled', () => handled === 2);
    const closed = close();
    for (const socket of stalled) await until('its end', socket.ended, 10_000);
    assert.equal(waiting.ended(), false);
    answer();
    await closed;
    await until('its end', waiting.ended);
    assert.match(waiting.heard(), /answered/);
    assert.equal(server.listening, false);
  },
);

test('a closing server ends idle connections at once, and writes out a large answer', LIMITED, async (t) => {
  const size = 32 << 20;
  let large: (() => void) | undefined;
  const { close, connectWith } = await start(
    t,
    (request, response) => {
      if (request.url === '/small') response.end('small');
      else large = () => response.end(Buffer.alloc(size, 'x'));
    },
    { unfinishedMs: 100 },
  );
  const idle = await connectWith('GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until('the small answer', () => idle.heard().endsWith('small'));
  const reading = await connectWith('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until('the request', () => large);
  reading.pause();
  large?.();
  const closed = close();
  await until('the idle connection to end', idle.ended);
  reading.resume();
  await closed;
  await until('its end', reading.ended);
  assert.equal(reading.heard().split('\r\n\r\n')[1]?.length, size);
});

test('a closing server gives up a client that does not read its answer', LIMITED, async (t) => {
  let isAnswered = false;
  const { close, connectWith } = await start(
    t,
    (_, response) => {
      response.end(Buffer.alloc(64 << 20));
      isAnswered = true;
    },
    { unfinishedMs: 100, closeMs: 300 },
  );
  const socket = await connectWith('');
  socket.pause();
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until('the answer', () => isAnswered);
  await close();
});

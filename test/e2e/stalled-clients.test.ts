/** A program that is told to stop is not held up by clients that stall. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';

test('SIGTERM ends the program gracefully while requests are half sent and a stream is not read', {
  timeout: 120_000,
}, async (t) => {
  const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  t.after(() => Promise.all([database.drop(), redis.drop()]));
  const program = await startProgram({ DATABASE_URL: database.url, REDIS_URL: redis.url });
  t.after(() => program.kill());
  const body = { id: 'later', customer_name: 'Asha', total_price: 5, scheduled_time: '2035-01-01T00:00:00Z' };
  assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);

  const port = Number(new URL(program.url).port);
  const begin = async (bytes: string) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.write(bytes);
    return socket;
  };
  await begin('');
  await begin('POST /orders HTTP/1.1\r\nHost: localhost\r\n');
  await begin(
    'POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{',
  );
  const stream = await begin('GET /ui/orders/later/stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(stream, 'data');
  stream.pause();

  const started = performance.now();
  assert.equal(await program.stop(), 0);
  assert.ok(performance.now() - started < 20_000, 'the program waited for a stalled client');
  assert.equal(program.log.at(-1)?.msg, 'Tiffin has stopped');
});

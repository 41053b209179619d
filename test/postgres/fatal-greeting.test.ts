/** A server that ends a connection in the moment in which it is made, as one that is shutting down does. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { it } from 'node:test';
import { migrateDatabase, openPool } from '../../internal/repository/postgres/database.ts';
import { leaderSession } from '../../internal/repository/postgres/stream/leader-session.ts';
import { recordingLog } from '../support/recording-log.ts';

/** A message of the protocol (PostgreSQL manual, 54.7): a letter, the length with itself, and the contents. */
function message(letter: string, contents: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(contents.length + 4);
  return Buffer.concat([Buffer.from(letter), length, contents]);
}

const AUTHENTICATED = message('R', Buffer.alloc(4));
const READY = message('Z', Buffer.from('I'));
const SHUT_DOWN = message('E', Buffer.from('SFATAL\0VFATAL\0C57P01\0Mthe server is shutting down\0\0'));

it('a connection that is ended in the moment in which it is made ends no process', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(Buffer.concat([AUTHENTICATED, READY, SHUT_DOWN]));
      socket.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `postgres://u@127.0.0.1:${(server.address() as AddressInfo).port}/db`;
  const pool = openPool(url, { max: 2, onError: () => {} });
  const session = leaderSession(url, recordingLog(), { onNotify() {}, onSilenceOver() {} });
  try {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      await assert.rejects(pool.query('SELECT 1'));
      await assert.rejects(session.lead('reader'));
      await assert.rejects(migrateDatabase(url));
    }
  } finally {
    await Promise.all([pool.end(), session.close()]);
    server.close();
  }
});

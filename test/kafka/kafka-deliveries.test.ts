/** Cutting a batch of Kafka records into deliveries, without a broker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Batch } from 'kafkajs';
import { cutBatch } from '../../internal/transport/events/kafka-deliveries.ts';

test('a record that is not UTF-8 is delivered as a text that no consumer reads, not as repaired JSON', () => {
  const records = [
    Buffer.from('{"name":"Zo\u00eb"}', 'latin1'),
    Buffer.from('{"name":"Zo\u00eb"}'),
    Buffer.from('{"name":'),
    null,
  ];
  const messages = records.map((value, n) => ({ key: null, value, offset: String(n), headers: {} }));
  const batch = { topic: 't', partition: 0, messages } as unknown as Batch;
  const [piece] = cutBatch(batch, '', [], 10);
  assert.deepEqual(
    piece?.deliveries.map(({ record }) => (typeof record === 'string' ? 'text' : record)),
    ['text', { name: 'Zo\u00eb' }, 'text', 'text'],
  );
});

test('headers without a value, of bytes and with several values are texts, and hold back no record', () => {
  const headers = { none: null, bytes: Buffer.from([0xff, 0]), several: ['a', 'b'] };
  const messages = [{ key: null, value: Buffer.from('1'), offset: '0', headers }];
  const batch = { topic: 't', partition: 0, messages } as unknown as Batch;
  const [piece] = cutBatch(batch, '', [], 10);
  assert.deepEqual(
    piece?.deliveries.map((delivery) => delivery.headers),
    [{ none: '', bytes: '\ufffd\0', several: 'a,b' }],
  );
});

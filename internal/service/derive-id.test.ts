/** Derived ids are version 5 UUIDs, as RFC 9562 and other implementations have them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { v5 } from 'uuid';
import { deriveId } from './derive-id.ts';

test('a derived id is the version 5 UUID of its name', () => {
  // The example of RFC 9562, appendix A.4, in the namespace of DNS names.
  const dns = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
  const namespace = Buffer.from(dns.replaceAll('-', ''), 'hex');
  assert.equal(deriveId(namespace, 'www.example.com'), '2ed6657d-e927-568b-95e1-2665a8aea6a2');
  for (const name of ['', 'order-1@1795000000000', 'ünïcode'])
    assert.equal(deriveId(namespace, name), v5(name, dns));
});

/** Event ids that are derived from a name: the same name, the same id. */
import { createHash } from 'node:crypto';

/** A UUID from a name (RFC 9562, version 5: SHA-1 of namespace and name) in the namespace of 16 bytes. */
export function deriveId(namespace: Buffer, name: string): string {
  const hash = createHash('sha1').update(namespace).update(name).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString('hex', 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Event ids as UUIDs: 16 bytes in an index instead of up to 128. */
import { deriveId } from '../../../service/derive-id.ts';

const FOREIGN = Buffer.from('0d3f6f1e6c0b4b8e9a553f0f6a8f5d21', 'hex');
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The id itself where it is a UUID in lower case, as all of ours are; else the UUID (RFC 9562, version 5) that stands for it. */
export function asUuid(eventId: string): string {
  return UUID.test(eventId) ? eventId : deriveId(FOREIGN, eventId);
}

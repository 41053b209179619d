/** Converts event ids to UUIDs: 16 bytes in an index instead of up to 128. */
import { v5 } from 'uuid';

/** Namespace for ids that are no UUIDs. */
const EXTERNAL = '0d3f6f1e-6c0b-4b8e-9a55-3f0f6a8f5d21';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The id itself if it is a UUID in lower case, like Tiffin's own; else the UUID version 5 (RFC 9562) derived from it. */
export function asUuid(eventId: string): string {
  return UUID.test(eventId) ? eventId : v5(eventId, EXTERNAL);
}

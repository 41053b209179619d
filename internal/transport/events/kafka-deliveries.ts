/** Cuts a batch that kafkajs fetched into deliveries, and skips records of other types by their header, unparsed. */
import { isUtf8 } from 'node:buffer';
import type { Batch, IHeaders } from 'kafkajs';
import type { Delivery } from '../../service/stream/ports.ts';

export interface Piece {
  readonly deliveries: readonly Delivery[];
  /** Offset of the last record of this piece, skipped records included. */
  readonly lastOffset: string;
}

/** Yields pieces of at most `size` deliveries. A record without an `eventType` header is always delivered. */
export function* cutBatch(
  batch: Batch,
  topicPrefix: string,
  types: readonly string[],
  size: number,
): Generator<Piece> {
  const topic = batch.topic.slice(topicPrefix.length);
  let deliveries: Delivery[] = [];
  let lastOffset: string | undefined;
  for (const { key, value, offset, headers = {} } of batch.messages) {
    lastOffset = offset;
    const type = headers.eventType?.toString();
    if (type !== undefined && !types.includes(type)) continue;
    deliveries.push({
      topic,
      key: key?.toString() ?? '',
      position: `${batch.partition}-${offset}`,
      record: parse(value ?? Buffer.alloc(0)),
      headers: toTexts(headers),
    });
    if (deliveries.length === size) {
      yield { deliveries, lastOffset };
      deliveries = [];
      lastOffset = undefined;
    }
  }
  if (lastOffset !== undefined) yield { deliveries, lastOffset };
}

/** Bytes that are no JSON in UTF-8 become a text, which no consumer can read. */
function parse(value: Buffer): unknown {
  const text = value.toString();
  if (!isUtf8(value)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function toTexts(headers: IHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value ?? '')]));
}

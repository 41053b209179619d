/** Turns what kafkajs fetched from a partition into deliveries, unread where the header says that nobody here wants it. */
import type { Batch, IHeaders } from 'kafkajs';
import type { Delivery } from '../../service/stream/ports.ts';

export interface Piece {
  readonly deliveries: readonly Delivery[];
  /** Of the last record of this piece, wanted or not. */
  readonly lastOffset: string;
}

/** Pieces of at most `size` deliveries; records whose `eventType` header names another type are left out, unparsed. */
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
      record: parse(value?.toString() ?? ''),
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

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function toTexts(headers: IHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value ?? '')]));
}

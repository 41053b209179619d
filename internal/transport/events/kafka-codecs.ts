/** Compression of Kafka's record batches: kafkajs knows gzip; this adds snappy, lz4 and zstd, and survives what cannot be decoded. */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import kafkajs, { type CompressionTypes } from 'kafkajs';
import { decompressBound, decompress as decompressLz4 } from 'lz4js';
import { compress as compressSnappy, uncompress as uncompressSnappy } from 'snappyjs';
import { faultOf } from '../../domain/errors.ts';

const { CompressionCodecs, CompressionTypes: Types } = kafkajs;

/** How records may be compressed when they are produced. */
export type Compression = 'none' | 'gzip' | 'snappy';

/** kafkajs's number of a compression. */
export function compressionType(compression: Compression): CompressionTypes {
  return { none: Types.None, gzip: Types.GZIP, snappy: Types.Snappy }[compression];
}

type Decode = (compressed: Buffer) => Uint8Array | Promise<Uint8Array>;

/** The largest batch that is decoded, bytes; a broker takes at most 1 MiB compressed by default. */
const DECODED_LIMIT = 128 << 20;

/** Registers the codecs with kafkajs, once for the process. */
export function registerCodecs(): void {
  const gzipped = promisify(gzip);
  const gunzipped = promisify(gunzip);
  register(Types.GZIP, 'gzip', gzipped, (data) => gunzipped(data, { maxOutputLength: DECODED_LIMIT }));
  register(Types.Snappy, 'snappy', compressSnappy, decodeSnappy);
  register(Types.LZ4, 'lz4', undefined, decodeLz4); // the broker refuses lz4js's frames
  register(Types.ZSTD, 'zstd', undefined, decodeZstd);
}

export function register(
  type: CompressionTypes,
  name: string,
  encode: Decode | undefined,
  decode: Decode,
): void {
  CompressionCodecs[type as keyof typeof CompressionCodecs] = () => ({
    async compress(encoder: { buffer: Buffer }) {
      if (!encode) throw new TypeError(`producing with ${name} is not supported`);
      return Buffer.from(await encode(encoder.buffer));
    },
    async decompress(compressed: Buffer) {
      try {
        return Buffer.from(await decode(compressed));
      } catch (error) {
        return undecodable(
          compressed,
          `this record's batch cannot be decoded with ${name}: ${faultOf(error)}`,
        );
      }
    },
  });
}

/** Snappy as Java's clients frame it (snappy-java's SnappyOutputStream): a header of 16 bytes, then blocks after their lengths. */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const XERIAL_HEADER_BYTES = 16;

function decodeSnappy(data: Buffer): Uint8Array {
  if (!data.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC))
    return uncompressSnappy(data, DECODED_LIMIT);
  const blocks: Buffer[] = [];
  for (let at = XERIAL_HEADER_BYTES; at < data.length; ) {
    const end = at + 4 + data.readUInt32BE(at);
    blocks.push(uncompressSnappy(data.subarray(at + 4, end), DECODED_LIMIT));
    at = end;
  }
  return Buffer.concat(blocks);
}

function decodeLz4(data: Buffer): Uint8Array {
  const bytes = Number(decompressBound(data));
  if (bytes > DECODED_LIMIT) throw new RangeError(`it may hold ${bytes} bytes`);
  return decompressLz4(data);
}

function decodeZstd(data: Buffer): Uint8Array {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const stream = new Decompress((chunk) => {
    bytes += chunk.length;
    if (bytes > DECODED_LIMIT) throw new RangeError(`it holds more than ${DECODED_LIMIT} bytes`);
    chunks.push(chunk);
  });
  stream.push(data, true);
  return Buffer.concat(chunks);
}

/**
 * A batch's records (KIP-98, "Message Format") with the fault as each one's value, at the offsets of the batch, so that
 * consuming goes on behind it. kafkajs hands over the compressed bytes as a part of the whole batch, whose header has the
 * number of records right before them and the last one's offset 34 bytes further ahead.
 */
function undecodable(compressed: Buffer, fault: string): Buffer {
  const header = Buffer.from(compressed.buffer, compressed.byteOffset - 38, 38);
  const lastOffsetDelta = header.readInt32BE(0);
  const count = header.readInt32BE(34);
  const value = Buffer.from(fault);
  const records: Buffer[] = [];
  for (let n = 0; n < count; n += 1) {
    const offsetDelta = n === count - 1 ? lastOffsetDelta : n;
    const body = Buffer.concat([
      Buffer.from([0]), // attributes
      varint(0), // timestamp delta
      varint(offsetDelta),
      varint(-1), // no key
      varint(value.length),
      value,
      varint(0), // headers
    ]);
    records.push(varint(body.length), body);
  }
  return Buffer.concat(records);
}

/** Zigzag, base 128 (Protocol Buffers, "Encoding"). */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = (value << 1) ^ (value >> 31);
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

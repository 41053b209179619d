/** The record file `<dataDir>/embedded.json`: what runs there, for tools and for the next start. */
import fs from 'node:fs';
import path from 'node:path';
import { lockHolder } from './owner-lock.ts';

export interface EmbeddedRecord {
  /** Id of the lock claim it was written under; without that claim alive, only the ports mean anything. */
  owner?: string;
  ports: { postgres?: number; redis?: number };
  pids?: { program: number; keeper?: number; postgres?: number; redis?: number };
  databaseUrl?: string;
  redisUrl?: string;
}

const recordFile = (dataDir: string) => path.join(dataDir, 'embedded.json');

/** An absent or unreadable record is an empty one. */
export function readRecord(dataDir: string): EmbeddedRecord {
  try {
    const record = JSON.parse(fs.readFileSync(recordFile(dataDir), 'utf8')) as Partial<EmbeddedRecord>;
    return { ...record, ports: record.ports ?? {} };
  } catch {
    return { ports: {} };
  }
}

export function writeRecord(dataDir: string, record: EmbeddedRecord): void {
  const draft = `${recordFile(dataDir)}.${process.pid}`;
  fs.writeFileSync(draft, `${JSON.stringify(record, null, 2)}\n`);
  fs.renameSync(draft, recordFile(dataDir));
}

/** URLs of the Tiffin alive on that data directory, for command-line tools; undefined when there is none. */
export async function findRunning(
  dataDir: string,
): Promise<{ databaseUrl?: string; redisUrl?: string } | undefined> {
  const holder = await lockHolder(path.resolve(dataDir), 'owner');
  if (!holder) return undefined;
  const { owner, databaseUrl, redisUrl } = readRecord(dataDir);
  return owner === holder.id ? { databaseUrl, redisUrl } : undefined;
}

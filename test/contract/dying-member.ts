/** A program that consumes as a member of a group and kills itself in the middle of its work, at the moment named. */
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import { countingConsumer, openMember, type StreamAddress } from './stream-member.ts';

export interface Death {
  readonly address: StreamAddress;
  readonly group: string;
  readonly moment: 'before its effects are stored' | 'after its effects are stored';
}

const { address, group, moment }: Death = JSON.parse(process.argv[2] ?? '');
const member = openMember(address, { relays: false });
/** Batches run side by side, one for each partition, so what counts is what has been stored. */
let stored = 0;

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

const consumer = countingConsumer(group, {
  batchSize: 10,
  before() {
    if (moment === 'before its effects are stored' && stored >= 2) die();
  },
  // After the commit, and before the stream learns that the batch is done.
  async afterwards() {
    stored += 1;
    if (moment === 'after its effects are stored' && stored >= 3) die();
  },
});
await member.bus.subscribe(subscriptionOf(member.deps, consumer));

/** A program that consumes as a member of a group and kills itself before or after storing a batch's effects. */
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import { countingConsumer, openMember, type StreamAddress } from './stream-member.ts';

export interface Death {
  readonly address: StreamAddress;
  readonly group: string;
  readonly moment: 'before its effects are stored' | 'after its effects are stored';
}

const { address, group, moment }: Death = JSON.parse(process.argv[2] ?? '');
const member = openMember(address, { relays: false });
/** Counts stored batches, because batches of different partitions run concurrently. */
let stored = 0;

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

const consumer = countingConsumer(group, {
  batchSize: 10,
  before() {
    if (moment === 'before its effects are stored' && stored >= 2) die();
  },
  // Runs after the commit and before the stream marks the batch as done.
  async afterwards() {
    stored += 1;
    if (moment === 'after its effects are stored' && stored >= 3) die();
  },
});
await member.bus.subscribe(subscriptionOf(member.deps, consumer));

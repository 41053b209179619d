/** A short run of chaos as a test; CHAOS_TESTS=1 asks for it. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { whyNoKafka } from './kafka.ts';
import { run } from './run-script.ts';
import { hasNativeRedis } from './start-servers.ts';

/** Two faults of the seed, none of which needs a right. */
export async function shortChaos(stream: 'postgres' | 'kafka', seed: number): Promise<void> {
  const skip = whyNot() ?? (stream === 'kafka' ? await whyNoKafka() : undefined) ?? false;
  it(`every invariant holds after two faults on the stream ${stream}, and orders go on after each`, {
    skip,
  }, async () => {
    const { code, output } = await run('test/chaos/main.ts', [
      ...['--seed', String(seed), '--orders', '40', '--faults', '2', '--stream', stream],
      // A machine that runs other tests is slow.
      ...['--within', '120'],
    ]);
    assert.equal(code, 0, output);
  });
}

function whyNot(): string | undefined {
  const asked = process.env.CHAOS_TESTS;
  if (!asked || asked === '0') return 'set CHAOS_TESTS=1 to run chaos (about a minute for each stream)';
  if (hasNativeRedis()) return undefined;
  const reason = 'there is no redis-server on the PATH';
  if (asked === 'required') throw new Error(`CHAOS_TESTS=required, and ${reason}`);
  return reason;
}

/** A short run of chaos on each stream; CHAOS_TESTS=1 asks for it. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { whyNoKafka } from '../support/kafka.ts';
import { run } from '../support/run-script.ts';
import { hasNativeRedis } from '../support/start-servers.ts';

const asked = process.env.CHAOS_TESTS;
const isAsked = Boolean(asked) && asked !== '0';
const why = isAsked
  ? hasNativeRedis()
    ? undefined
    : 'there is no redis-server on the PATH'
  : 'set CHAOS_TESTS=1 to run chaos (about a minute for each stream)';
if (asked === 'required' && why) throw new Error(`CHAOS_TESTS=required, and ${why}`);

for (const stream of ['postgres', 'kafka']) {
  const skip = why ?? (stream === 'kafka' ? await whyNoKafka() : undefined) ?? false;
  it(`every invariant holds after three faults on the stream ${stream}, and orders go on after each`, {
    skip,
  }, async () => {
    const { code, output } = await run('test/chaos/main.ts', [
      ...['--seed', '14', '--orders', '60', '--faults', '3', '--stream', stream],
    ]);
    assert.equal(code, 0, output);
  });
}

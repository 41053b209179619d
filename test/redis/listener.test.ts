/** The subscription to changed views on a real Redis, when its connection dies without a word, and when it is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { redisListener } from '../../internal/repository/redis/listener.ts';
import { startOwnRedis } from '../support/own-redis.ts';
import { proxyTo } from '../support/proxy.ts';
import { recordingLog } from '../support/recording-log.ts';
import { until } from '../support/until.ts';

const CHANNEL = 'changed';
const ORDER = 'o' as OrderId;

test('a listener hears of changes again after its connection has fallen silent, or was not permitted', async (t) => {
  const server = await startOwnRedis();
  const proxy = await proxyTo(server.url);
  const [direct, through] = [openRedis(server.url, recordingLog()), openRedis(proxy.url, recordingLog())];
  const listener = redisListener(through, CHANNEL);
  t.after(async () => {
    listener.close();
    direct.disconnect();
    through.disconnect();
    await proxy.close();
    await server.stop();
  });
  const acl = (...rules: string[]) => direct.call('ACL', 'SETUSER', 'default', ...rules);
  let told = 0;

  await acl('resetchannels');
  listener.listen(ORDER, () => {
    told += 1;
  });
  await until('the refusal', async () => /subscribe/.test(String(await direct.call('ACL', 'LOG'))));
  assert.equal(told, 0);
  await acl('allchannels');
  await until('the subscription', () => told === 1);
  await direct.publish(CHANNEL, ORDER);
  await until('a change', () => told === 2);

  proxy.silence();
  await direct.publish(CHANNEL, ORDER);
  await until('the next subscription, before which a change may have been missed', () => told === 3);
  await direct.publish(CHANNEL, ORDER);
  await until('a change', () => told === 4);
});

/** The connection that listens for changed views: one that falls silent is replaced, and its listeners look again. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import type { OrderId } from '../../internal/domain/order.ts';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { redisViewListener } from '../../internal/repository/redis/view-listener.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';
import { recordingLog } from '../support/recording-log.ts';
import { freshRedis, redisServers } from '../support/servers.ts';
import { until } from '../support/until.ts';

/** Generous: a silent connection is noticed after a PING and its time limit. */
const NOTICED_MS = 15_000;
const ID = 'order-1' as OrderId;

for (const { name } of redisServers())
  describe(`the listener for views on ${name}`, () => {
    let server: Awaited<ReturnType<typeof freshRedis>>;
    let proxy: ServerProxy;
    let redis: ReturnType<typeof openRedis>;
    let publisher: Redis;
    let listener: ReturnType<typeof redisViewListener>;
    let heard = 0;

    beforeEach(async () => {
      server = await freshRedis(name);
      proxy = await proxyTo(server.url);
      redis = openRedis(proxy.url, recordingLog());
      publisher = new Redis(server.url);
      // Channels are the server's, not those of one of its databases.
      listener = redisViewListener(redis, channel());
      heard = 0;
      listener.listen(ID, () => {
        heard += 1;
      });
      await until('the listener to be told that it may have missed something', () => heard > 0);
    });
    afterEach(async () => {
      listener.close();
      redis.disconnect();
      publisher.disconnect();
      await proxy.close();
      await server.drop();
    });

    const channel = () => `views-of-${server.url}`;
    const publish = () => publisher.publish(channel(), ID);

    it('hears of each change while nothing is wrong', async () => {
      const before = heard;
      await publish();
      await until('the change', () => heard > before);
      assert.equal(heard, before + 1);
    });

    it('replaces a connection that has fallen silent, tells its listeners, and hears of changes again', async () => {
      proxy.silence();
      const before = heard;
      await publish();
      await until('the listeners to be told', () => heard > before, NOTICED_MS);
      const told = heard;
      await publish();
      await until('the change', () => heard > told);
    });
  });

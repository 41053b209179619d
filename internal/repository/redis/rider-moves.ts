/** Tells the processes that share a Redis which riders have moved. */
import type { Cluster, Redis } from 'ioredis';
import type { RiderMoves } from '../../service/delivery/ports.ts';
import { redisListener } from './listener.ts';

export function redisRiderMoves(redis: Redis | Cluster, channel: string): RiderMoves & { close(): void } {
  const { listen, close } = redisListener(redis, channel);
  return {
    tell(riderId) {
      if (redis.status === 'ready') redis.publish(channel, riderId).catch(() => {});
    },
    listen,
    close,
  };
}

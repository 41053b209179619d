/** Takes a member whose connection was lost out of its group, so that the group need not wait until the member's session ends. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Kafka } from 'kafkajs';
import { within } from './kafka-faults.ts';

const LIMIT_MS = 3_000;
const RETRY_MS = 100;

/** The part of kafkajs's cluster that is used here; kafkajs offers no public way to leave a group as another member. */
interface Cluster {
  connect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  disconnect(): Promise<void>;
  findGroupCoordinator(of: { groupId: string }): Promise<{
    leaveGroup(member: { groupId: string; memberId: string }): Promise<void>;
  }>;
}

/** True once the member is out of the group. Otherwise the group waits for the end of its session, and goes on then. */
export async function leaveGroup(kafka: Kafka, groupId: string, memberId: string): Promise<boolean> {
  const cluster = clusterOf(kafka);
  if (!cluster) return true;
  try {
    return await within(LIMIT_MS, leave(cluster, groupId, memberId));
  } catch {
    return false;
  } finally {
    cluster.disconnect().catch(() => {});
  }
}

/** A broker that has just started takes a moment to know its groups. */
async function leave(cluster: Cluster, groupId: string, memberId: string): Promise<boolean> {
  await cluster.connect();
  await cluster.refreshMetadata();
  for (let attempts = 0; attempts * RETRY_MS < LIMIT_MS; attempts += 1) {
    try {
      const coordinator = await cluster.findGroupCoordinator({ groupId });
      await coordinator.leaveGroup({ groupId, memberId });
      return true;
    } catch (error) {
      if ((error as { type?: string }).type === 'UNKNOWN_MEMBER_ID') return true;
      await pause(RETRY_MS);
    }
  }
  return false;
}

function clusterOf(kafka: Kafka): Cluster | undefined {
  const name = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  );
  const create = name && (kafka as unknown as Record<symbol, (options: object) => Cluster>)[name];
  return create?.({ metadataMaxAge: 60_000 });
}

/** A program that consumes as a member of a group, and prints the key of each record, until it is killed. */
import { lonelyBus } from '../contract/kafka-stream.ts';

const [brokers = '', topicPrefix, group = ''] = process.argv.slice(2);
const { bus } = lonelyBus(brokers, topicPrefix, { partitions: 6 });
await bus.subscribe({
  group,
  topics: ['order.ready'],
  types: [],
  async handle({ deliveries }) {
    for (const { key } of deliveries) process.stdout.write(`${key}\n`);
  },
});

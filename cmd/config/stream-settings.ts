/** The settings of the stream. */
import { OUTSIDE_TOPICS } from '../../internal/domain/topics.ts';
import { list, oneOf, text, whole } from './kinds.ts';

export const stream = {
  KAFKA_BROKERS: list('host:port, or several with commas between them', (broker) =>
    /^[\w.-]+:\d+$/.test(broker),
  )
    .optional()
    .describe('Brokers of Kafka. Default: the stream is the event log in Postgres.'),
  KAFKA_PREFIX: text('at most 32 letters, digits, dots, hyphens or underscores', (value) =>
    /^[\w.-]{0,32}$/.test(value),
  )
    .prefault('')
    .describe('Prefix of every topic and consumer group, for installations that share brokers.'),
  KAFKA_PARTITIONS: whole(1, 1_000).prefault('6').describe('Partitions of the topics that Tiffin creates.'),
  KAFKA_SESSION_TIMEOUT_MS: whole(1_000, 300_000)
    .prefault('6000')
    .describe(
      'Time after which the work of a killed process goes to others, milliseconds. Brokers take 6000 at least, unless `group.min.session.timeout.ms` is lower.',
    ),
  KAFKA_COMPRESSION: oneOf('none', 'gzip', 'snappy')
    .prefault('none')
    .describe('How Tiffin compresses its records on Kafka. It reads gzip, snappy, lz4 and zstd.'),
  DISABLED_TOPICS: list(
    `names of topics that only others read, with commas between them: ${OUTSIDE_TOPICS.join(', ')}`,
    (topic) => topic === '' || OUTSIDE_TOPICS.includes(topic),
  )
    .transform((topics) => topics.filter(Boolean))
    .prefault('')
    .describe('Topics on Kafka that nobody reads; nothing is published to them.'),
};

/** The settings of the stream. */
import { OUTSIDE_TOPICS } from '../../internal/domain/topics.ts';
import { list, oneOf, text, url, whole } from './kinds.ts';

export const stream = {
  KAFKA_BROKERS: list('host:port, or several with commas between them', (broker) =>
    /^[\w.-]+:\d+$/.test(broker),
  )
    .optional()
    .describe('Brokers of Kafka. Default: the stream is the event log in Postgres.'),
  KAFKA_SSL: oneOf('yes', 'no').prefault('no').describe('Whether the brokers are reached over TLS.'),
  KAFKA_CA_FILE: text('a path')
    .optional()
    .describe(
      'PEM file with the authorities that sign the brokers’ certificates. Default: the well-known ones. This and every other file of Kafka is read anew for each connection.',
    ),
  KAFKA_CERT_FILE: text('a path').optional().describe('PEM file with the certificate of this client.'),
  KAFKA_KEY_FILE: text('a path').optional().describe('PEM file with its private key.'),
  KAFKA_SASL_MECHANISM: oneOf('plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer')
    .optional()
    .describe('How this client logs in. Without `KAFKA_SSL`, `plain` sends the password in clear text.'),
  KAFKA_USERNAME: text('text').optional().describe('User, or client id for `KAFKA_TOKEN_URL`.'),
  KAFKA_PASSWORD: text('text').optional().describe('Password, or client secret for `KAFKA_TOKEN_URL`.'),
  KAFKA_PASSWORD_FILE: text('a path')
    .optional()
    .describe('File with the password instead; white space around it does not count.'),
  KAFKA_TOKEN_URL: url('http:', 'https:')
    .optional()
    .describe(
      'For `oauthbearer`: where a login service gives tokens for client credentials (RFC 6749). Tokens are renewed after half their lifetime.',
    ),
  KAFKA_TOKEN_SCOPE: text('text').optional().describe('Scope to ask the login service for.'),
  KAFKA_TOKEN_COMMAND: text('a command')
    .optional()
    .describe(
      'For `oauthbearer`, instead: a shell command that prints a token, within 5 s and at most 64 KiB. It is run for each connection, unless the token is a JWT, or the JSON of a login service, that says when it ends.',
    ),
  KAFKA_PREFIX: text('at most 32 letters, digits, dots, hyphens or underscores', (value) =>
    /^[\w.-]{0,32}$/.test(value),
  )
    .prefault('')
    .describe('Prefix of every topic and consumer group, for installations that share brokers.'),
  KAFKA_CREATE_TOPICS: oneOf('yes', 'no')
    .prefault('yes')
    .describe('Whether Tiffin creates missing topics. With `no`, it is not ready until they exist.'),
  KAFKA_REPLICATION_FACTOR: whole(1, 100)
    .optional()
    .describe('Replicas of the topics that Tiffin creates. Default: the broker’s.'),
  KAFKA_MIN_INSYNC_REPLICAS: whole(1, 100)
    .optional()
    .describe(
      '`min.insync.replicas` of those topics: how many replicas have an event before it counts as published. Default: the broker’s.',
    ),
  KAFKA_MAX_RECORD_BYTES: whole(10_000, 100_000_000)
    .optional()
    .describe(
      'Largest record, bytes; topics that Tiffin creates take it. An event that is larger becomes a dead letter of event-relay. Default: 1000000, with the broker’s own limit.',
    ),
  KAFKA_PARTITIONS: whole(1, 1_000).prefault('6').describe('Partitions of the topics that Tiffin creates.'),
  KAFKA_SESSION_TIMEOUT_MS: whole(2_000, 300_000)
    .prefault('3000')
    .describe(
      'Time after which the work of a killed process goes to others, milliseconds. Brokers whose `group.min.session.timeout.ms` is longer permit no less than 6000, which is then used.',
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

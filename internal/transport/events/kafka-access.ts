/** How this process identifies itself to Kafka: TLS and SASL, with the files read anew for each connection, so that renewed ones are used. */
import { readFileSync } from 'node:fs';
import type { KafkaConfig } from 'kafkajs';

export interface KafkaAccessOptions {
  readonly tls?: {
    /** PEM files; without an authority of its own the well-known ones count. */
    readonly caFile?: string | undefined;
    readonly certFile?: string | undefined;
    readonly keyFile?: string | undefined;
  };
  readonly sasl?:
    | {
        readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
        readonly username: string;
        readonly password: () => string;
      }
    | { readonly mechanism: 'oauthbearer'; readonly token: () => Promise<string> };
}

/** The options of kafkajs for a new connection; throws when a file cannot be read. */
export type KafkaAccess = () => Pick<KafkaConfig, 'ssl' | 'sasl'>;

export function kafkaAccess({ tls, sasl }: KafkaAccessOptions): KafkaAccess {
  return () => ({
    ...(tls && {
      ssl: {
        ...(tls.caFile && { ca: readFileSync(tls.caFile) }),
        ...(tls.certFile && { cert: readFileSync(tls.certFile) }),
        ...(tls.keyFile && { key: readFileSync(tls.keyFile) }),
      },
    }),
    ...(sasl && { sasl: saslOf(sasl) }),
  });
}

function saslOf(sasl: NonNullable<KafkaAccessOptions['sasl']>): NonNullable<KafkaConfig['sasl']> {
  if (sasl.mechanism === 'oauthbearer')
    return {
      mechanism: 'oauthbearer',
      oauthBearerProvider: async () => ({ value: await sasl.token() }),
    };
  const { mechanism, username } = sasl;
  // kafkajs's type has a member for each mechanism.
  return { mechanism: mechanism as 'plain', username, password: sasl.password() };
}

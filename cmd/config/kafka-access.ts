/** Checks the settings of TLS and SASL for Kafka together, and makes the access of a connection from them. */
import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { type KafkaAccess, kafkaAccess } from '../../internal/transport/events/kafka-access.ts';
import { tokenByCommand, tokenByUrl } from '../../internal/transport/events/kafka-tokens.ts';
import type { stream } from './stream-settings.ts';
import { faultsOfFile, faultsOfTlsFiles } from './tls-files.ts';

type Name = keyof typeof stream;
export type KafkaSettings = z.infer<z.ZodObject<typeof stream>>;

const TLS_FILES = ['KAFKA_CA_FILE', 'KAFKA_CERT_FILE', 'KAFKA_KEY_FILE'] as const;
const LOGIN = ['KAFKA_USERNAME', 'KAFKA_PASSWORD', 'KAFKA_PASSWORD_FILE'] as const;
const TOKEN = ['KAFKA_TOKEN_URL', 'KAFKA_TOKEN_COMMAND', 'KAFKA_TOKEN_SCOPE'] as const;

/** Every fault of the settings together, each without a full stop; empty if there is none. */
export function faultsOfKafka(config: KafkaSettings): string[] {
  const given = (names: readonly Name[]) => names.filter((name) => config[name] !== undefined);
  const unused = (names: readonly Name[], reason: string) =>
    given(names).map((name) => `${name} is set, but ${reason}`);
  const mechanism = config.KAFKA_SASL_MECHANISM;
  const faults: string[] = [];
  if (!config.KAFKA_BROKERS) {
    const all = [...TLS_FILES, 'KAFKA_SASL_MECHANISM', ...LOGIN, ...TOKEN] as const;
    return unused(all, 'KAFKA_BROKERS is not');
  }
  if (config.KAFKA_SSL !== 'yes') faults.push(...unused(TLS_FILES, 'KAFKA_SSL is not yes'));
  const file = (name: (typeof TLS_FILES)[number] | 'KAFKA_PASSWORD_FILE') => ({ name, file: config[name] });
  faults.push(...faultsOfTlsFiles(file('KAFKA_CA_FILE'), file('KAFKA_CERT_FILE'), file('KAFKA_KEY_FILE')));

  if (!mechanism) return [...faults, ...unused([...LOGIN, ...TOKEN], 'KAFKA_SASL_MECHANISM is not')];
  if (given(['KAFKA_PASSWORD', 'KAFKA_PASSWORD_FILE']).length === 2)
    faults.push('KAFKA_PASSWORD and KAFKA_PASSWORD_FILE are both set; set only one of them');
  if (mechanism !== 'oauthbearer') faults.push(...unused(TOKEN, `KAFKA_SASL_MECHANISM is ${mechanism}`));
  else if (given(['KAFKA_TOKEN_URL', 'KAFKA_TOKEN_COMMAND']).length !== 1)
    faults.push('KAFKA_SASL_MECHANISM=oauthbearer needs one of KAFKA_TOKEN_URL and KAFKA_TOKEN_COMMAND');
  if (mechanism !== 'oauthbearer' || config.KAFKA_TOKEN_URL) {
    const asker = mechanism === 'oauthbearer' ? 'KAFKA_TOKEN_URL' : `KAFKA_SASL_MECHANISM=${mechanism}`;
    if (!config.KAFKA_USERNAME) faults.push(`${asker} needs KAFKA_USERNAME`);
    if (given(['KAFKA_PASSWORD', 'KAFKA_PASSWORD_FILE']).length === 0)
      faults.push(`${asker} needs KAFKA_PASSWORD or KAFKA_PASSWORD_FILE`);
  } else faults.push(...unused(LOGIN, 'KAFKA_TOKEN_COMMAND needs none'));
  if (config.KAFKA_PASSWORD_FILE) faults.push(...faultsOfFile(file('KAFKA_PASSWORD_FILE')));
  return faults;
}

export function kafkaAccessOf(config: KafkaSettings): KafkaAccess {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_USERNAME: username = '' } = config;
  const password = () =>
    config.KAFKA_PASSWORD ?? readFileSync(config.KAFKA_PASSWORD_FILE ?? '', 'utf8').trim();
  const token = config.KAFKA_TOKEN_COMMAND
    ? tokenByCommand(config.KAFKA_TOKEN_COMMAND)
    : tokenByUrl({
        url: config.KAFKA_TOKEN_URL ?? '',
        clientId: username,
        clientSecret: password,
        scope: config.KAFKA_TOKEN_SCOPE,
      });
  return kafkaAccess({
    ...(config.KAFKA_SSL === 'yes' && {
      tls: {
        caFile: config.KAFKA_CA_FILE,
        certFile: config.KAFKA_CERT_FILE,
        keyFile: config.KAFKA_KEY_FILE,
      },
    }),
    ...(mechanism && {
      sasl: mechanism === 'oauthbearer' ? { mechanism, token } : { mechanism, username, password },
    }),
  });
}

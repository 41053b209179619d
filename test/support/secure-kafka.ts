/** A Kafka broker that asks for TLS, and on one listener for a login by any SASL mechanism, on another for a certificate. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../cmd/java/jvm.ts';
import { startKafka } from '../../cmd/kafka/broker.ts';
import { type Authority, authority } from './certificates.ts';

export const USER = 'tiffin';
export const PASSWORD = 'pass-word of tiffin';

export interface SecureKafka {
  /** Folder for files of tests; it is removed with the broker. */
  readonly dir: string;
  /** `host:port` of the listener with TLS and SASL. */
  readonly login: string;
  /** `host:port` of the listener with TLS and certificates of clients. */
  readonly certificate: string;
  readonly authority: Authority;
  close(): Promise<void>;
}

export async function startSecureKafka(): Promise<SecureKafka> {
  const dir = await mkdtemp(join(tmpdir(), 'tiffin-kafka-secure-'));
  const signer = authority(dir, 'authority');
  const server = signer.sign('broker');
  const login = await freePort();
  const certificate = await freePort(login);
  const jaas = (mechanism: string, module: string, options = '') => ({
    [`listener.name.login.${mechanism}.sasl.jaas.config`]: `org.apache.kafka.common.security.${module} required ${options};`,
  });
  const broker = await startKafka({
    dir: join(dir, 'broker'),
    listeners: {
      LOGIN: { protocol: 'SASL_SSL', port: login },
      CERTIFICATE: { protocol: 'SSL', port: certificate },
    },
    scramUsers: { [USER]: PASSWORD },
    properties: {
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': server.both,
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': signer.file,
      'listener.name.certificate.ssl.client.auth': 'required',
      'listener.name.login.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
      // A connection ends with its token, unless the client logs in again.
      'connections.max.reauth.ms': 3_600_000,
      // The default delays each refusal of a login by as much.
      'connection.failed.authentication.delay.ms': 10,
      ...jaas('plain', 'plain.PlainLoginModule', `user_${USER}="${PASSWORD}"`),
      ...jaas('scram-sha-256', 'scram.ScramLoginModule'),
      ...jaas('scram-sha-512', 'scram.ScramLoginModule'),
      ...jaas('oauthbearer', 'oauthbearer.OAuthBearerLoginModule', 'unsecuredLoginStringClaim_sub="broker"'),
    },
  });
  return {
    dir,
    login: `127.0.0.1:${login}`,
    certificate: `127.0.0.1:${certificate}`,
    authority: signer,
    async close() {
      await broker.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

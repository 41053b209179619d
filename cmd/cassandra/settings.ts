/** The settings of the Cassandra node for development and tests: small, alone in its ring, with its data in one folder. */
import { join } from 'node:path';
import { HOST } from '../java/jvm.ts';

export interface Shape {
  readonly dir: string;
  readonly port: number;
  readonly storagePort: number;
  /** Whether clients log in; the first user is `cassandra` with the password `cassandra`. */
  readonly login: boolean;
  /** PEM file with the key and the certificate of the node, which makes clients use TLS. */
  readonly keyAndCertificate?: string;
}

/** The text of `cassandra.yaml`; JSON is YAML. */
export function nodeSettings({ dir, port, storagePort, login, keyAndCertificate }: Shape): string {
  const settings = {
    cluster_name: 'tiffin',
    num_tokens: 1,
    partitioner: 'org.apache.cassandra.dht.Murmur3Partitioner',
    endpoint_snitch: 'SimpleSnitch',
    seed_provider: [
      {
        class_name: 'org.apache.cassandra.locator.SimpleSeedProvider',
        parameters: [{ seeds: `${HOST}:${storagePort}` }],
      },
    ],
    listen_address: HOST,
    rpc_address: HOST,
    storage_port: storagePort,
    native_transport_port: port,
    ...(login
      ? {
          authenticator: 'PasswordAuthenticator',
          authorizer: 'CassandraAuthorizer',
          role_manager: 'CassandraRoleManager',
        }
      : {}),
    ...(keyAndCertificate
      ? {
          client_encryption_options: {
            enabled: true,
            ssl_context_factory: { class_name: 'org.apache.cassandra.security.PEMBasedSslContextFactory' },
            keystore: keyAndCertificate,
          },
        }
      : {}),
    data_file_directories: [join(dir, 'data')],
    commitlog_directory: join(dir, 'commitlog'),
    saved_caches_directory: join(dir, 'saved_caches'),
    hints_directory: join(dir, 'hints'),
    cdc_raw_directory: join(dir, 'cdc_raw'),
    auto_snapshot: false,
    // A write is on the disk before it is acknowledged, as in a cluster it is on several machines.
    commitlog_sync: 'group',
    commitlog_sync_group_window: '5ms',
    commitlog_segment_size: '8MiB',
    commitlog_total_space: '64MiB',
    memtable_heap_space: '64MiB',
    memtable_offheap_space: '64MiB',
    file_cache_size: '32MiB',
    networking_cache_size: '8MiB',
    concurrent_reads: 8,
    concurrent_writes: 8,
  };
  return JSON.stringify(settings, undefined, 2);
}

/** What Cassandra reaches into, which Java 17 closes. */
const EXPORTS =
  'java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.sql/java.sql';
const OPENS = `java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.net
  java.base/java.nio java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic
  java.base/jdk.internal.loader java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.ref
  java.base/jdk.internal.reflect java.base/jdk.internal.util java.base/jdk.internal.util.jar java.base/sun.nio.ch
  java.rmi/sun.rmi.transport.tcp jdk.management/com.sun.management.internal`;
const open = (flag: string, packages: string) =>
  packages.split(/\s+/).flatMap((name) => [flag, `${name}=ALL-UNNAMED`]);

/** The arguments of `java` before the main class. A small heap and the first compiler alone start fastest. */
export function jvmOptions(config: string, logConfig: string, dir: string): string[] {
  return [
    ...[
      '-Xms512m',
      '-Xmx512m',
      '-Xss512k',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-XX:+ExitOnOutOfMemoryError',
    ],
    ...['-Djdk.attach.allowAttachSelf=true', '-Dio.netty.tryReflectionSetAccessible=true'],
    ...open('--add-exports', EXPORTS),
    ...open('--add-opens', OPENS),
    ...[`-Dcassandra.config=file://${config}`, `-Dcassandra.storagedir=${dir}`, '-Dcassandra-foreground=yes'],
    // There are no other nodes to wait for.
    ...['-Dcassandra.skip_wait_for_gossip_to_settle=0', '-Dcassandra.superuser_setup_delay_ms=0'],
    `-Dlogback.configurationFile=${logConfig}`,
  ];
}

/** Reads `cassandra://user:password@host1,host2:9042/keyspace?dc=…`, with TLS in the words of a Postgres URL. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';

export interface HistoryUrl {
  /** `host` or `host:port`. */
  readonly hosts: readonly string[];
  readonly keyspace: string;
  readonly dataCentre: string;
  readonly login?: { readonly username: string; readonly password: string };
  /** Reads the files of certificates; undefined without TLS. */
  readonly tls?: () => ConnectionOptions;
}

const SHAPE = /^cassandra:\/\/(?:([^/?#]*)@)?([^/?#]+)\/([^/?#]*)\?([^#]*)$/;
const HOST = /^([\w.-]+|\[[\da-f:]+\])(:\d{1,5})?$/i;
const KEYSPACE = /^[a-z]\w{0,47}$/i;
const MODES = ['disable', 'verify-ca', 'verify-full'];
const FILES = ['sslrootcert', 'sslcert', 'sslkey'] as const;
const KNOWN: readonly string[] = ['dc', 'sslmode', ...FILES];

/** Reads a URL; throws a TypeError if it has faults. */
export function parseHistoryUrl(text: string): HistoryUrl {
  const { faults, url } = read(text);
  if (faults.length > 0) throw new TypeError(`a Cassandra URL ${faults.join('; ')}`);
  return url as HistoryUrl;
}

/** What is wrong with a URL, each as the end of a sentence that begins with its name. Passwords are not in it. */
export function faultsOfHistoryUrl(text: string): readonly string[] {
  return read(text).faults;
}

function read(text: string): { faults: readonly string[]; url?: HistoryUrl } {
  const [, login, places = '', keyspace = '', query] = SHAPE.exec(text) ?? [];
  if (!places || (login && !/^[^:]+:.+$/.test(login)))
    return {
      faults: ['must be cassandra://host/keyspace?dc=datacentre, with user:password@ before the host or not'],
    };
  const given = Object.fromEntries(new URLSearchParams(query)) as Readonly<
    Record<string, string | undefined>
  >;
  const hosts = places.split(',');
  const { dc, sslrootcert, sslcert, sslkey } = given;
  const files = FILES.filter((name) => given[name] !== undefined);
  const mode = given.sslmode ?? (files.length > 0 ? 'verify-full' : 'disable');
  const unknown = Object.keys(given).filter((name) => !KNOWN.includes(name));
  const faults = [
    ...hosts
      .filter((host) => !HOST.test(host))
      .map((host) => `has the host '${host}', which is no host:port`),
    ...(KEYSPACE.test(keyspace)
      ? []
      : [`has the keyspace '${keyspace}', which is not up to 48 letters, digits or underscores`]),
    ...(!dc ? ['names no data centre: add ?dc=, such as datacenter1'] : []),
    ...(dc && !/^[\w.-]+$/.test(dc)
      ? [`names the data centre '${dc}', which is not letters, digits, dots and hyphens`]
      : []),
    ...(MODES.includes(mode) ? [] : [`has sslmode=${mode}, and Tiffin takes one of ${MODES.join(', ')}`]),
    ...(mode === 'disable' && files.length > 0 ? ['has sslmode=disable and names certificates'] : []),
    ...(mode === 'verify-ca' && !sslrootcert
      ? ['has sslmode=verify-ca without sslrootcert, the file of the authority to trust']
      : []),
    ...((sslcert === undefined) === (sslkey === undefined)
      ? []
      : ['has only one of sslcert and sslkey; a client certificate needs both']),
    ...files.flatMap((name) => unreadable(name, given[name] as string)),
    ...(unknown.length > 0 ? [`has ${unknown.join(', ')}, and Tiffin knows ${KNOWN.join(', ')}`] : []),
  ];
  if (faults.length > 0) return { faults };
  const [username = '', password = ''] = (login ?? '').split(/:(.*)/s).map(decodeURIComponent);
  return {
    faults,
    url: {
      hosts,
      keyspace: keyspace.toLowerCase(),
      dataCentre: dc as string,
      ...(login ? { login: { username, password } } : {}),
      ...(mode === 'disable'
        ? {}
        : {
            tls: () => ({
              // The driver checks nothing unless it is told to.
              rejectUnauthorized: true,
              ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
              ...(sslrootcert ? { ca: readFileSync(sslrootcert, 'utf8') } : {}),
              ...(sslcert && sslkey
                ? { cert: readFileSync(sslcert, 'utf8'), key: readFileSync(sslkey, 'utf8') }
                : {}),
            }),
          }),
    },
  };
}

function unreadable(name: string, file: string): string[] {
  try {
    readFileSync(file);
    return [];
  } catch (error) {
    return [`has ${name}=${file}, which cannot be read (${(error as NodeJS.ErrnoException).code})`];
  }
}

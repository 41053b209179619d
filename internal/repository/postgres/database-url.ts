/** Reads a Postgres URL as libpq does: several hosts, which of their servers to take, and TLS. */
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { ConnectionOptions } from 'node:tls';

export interface Host {
  readonly host: string;
  readonly port: number;
}

/** `any`: one that answers; `primary`: one that is no standby; `read-write`: one whose transactions may write. */
export type Wanted = 'any' | 'primary' | 'read-write';
/** `optional`: TLS if the server offers it. */
export type Tls = 'none' | 'optional' | 'required';

export interface DatabaseUrl {
  readonly hosts: readonly [Host, ...Host[]];
  /** The database's name; empty where the URL has none. */
  readonly database: string;
  readonly wanted: Wanted;
  readonly tls: Tls;
  /** The URL with its first host alone and without the parameters that are read here. */
  readonly plain: string;
  /** Reads the files of certificates anew, so that a renewed one is used by the next connection. */
  tlsOptions(): ConnectionOptions;
}

const WANTED: readonly string[] = ['any', 'primary', 'read-write'];
const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'];
const FILES = ['sslrootcert', 'sslcert', 'sslkey'] as const;
/** The word of libpq for the certificate authorities that the system trusts; here those of Node.js. */
const SYSTEM = 'system';
const DEFAULT_PORT = 5432;

const SHAPE = /^(postgres(?:ql)?):\/\/(?:([^/?#]*)@)?([^/?#]*)(\/[^?#]*)?(\?[^#]*)?$/;

/** Reads a URL; throws a TypeError if it has faults. */
export function parseDatabaseUrl(text: string): DatabaseUrl {
  const { faults, url } = read(text);
  if (faults.length > 0) throw new TypeError(`a Postgres URL ${faults.join('; ')}`);
  return url as DatabaseUrl;
}

/** What is wrong with a URL, each as the end of a sentence that begins with its name. Passwords are not in it. */
export function faultsOfDatabaseUrl(text: string): readonly string[] {
  return read(text).faults;
}

function read(text: string): { faults: readonly string[]; url?: DatabaseUrl } {
  const [, scheme, login, places = '', path = '', query = ''] = SHAPE.exec(text) ?? [];
  const shape = 'must be a URL that begins with postgres:// or postgresql://';
  if (
    !scheme ||
    !isDecodable(`${login}${places}${path}`) ||
    !URL.canParse(`postgres://${login ?? ''}@host${path}${query}`)
  )
    return { faults: [shape] };
  const parameters = new URLSearchParams(query);
  const take = (name: string) => {
    const value = parameters.get(name) ?? undefined;
    parameters.delete(name);
    return value;
  };
  const { hosts, faults: hostFaults } = readHosts(places, take);
  const wanted = take('target_session_attrs') ?? (hosts.length > 1 ? 'read-write' : 'any');
  const tls = readTls(Object.fromEntries(['sslmode', ...FILES].map((name) => [name, take(name)])));
  const faults = [
    ...hostFaults,
    ...(WANTED.includes(wanted)
      ? []
      : [`has target_session_attrs=${wanted}, and Tiffin takes one of ${WANTED.join(', ')}`]),
    ...tls.faults,
  ];
  const [first] = hosts;
  if (faults.length > 0 || !first) return { faults };
  const place = isIPv6(first.host) ? `[${first.host}]` : encodeURIComponent(first.host);
  const rest = parameters.size > 0 ? `?${parameters}` : '';
  return {
    faults,
    url: {
      hosts: [first, ...hosts.slice(1)],
      database: decodeURIComponent(path.slice(1)),
      wanted: wanted as Wanted,
      tls: tls.mode,
      plain: `postgres://${login === undefined ? '' : `${login}@`}${place}:${first.port}${path}${rest}`,
      tlsOptions: tls.options,
    },
  };
}

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
}

/** `a:5432,b` before the path, or `host=a,b&port=5432,5433` behind it; one port is that of every host. */
function readHosts(places: string, take: (name: string) => string | undefined) {
  const [named, numbered] = [take('host')?.split(','), take('port')?.split(',')];
  const faults: string[] = [];
  const pairs = named
    ? named.map((host, n) => [host, numbered?.[n] ?? (numbered?.length === 1 ? numbered[0] : undefined)])
    : places.split(',').map((place) => {
        const [, host, port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(place) ?? [undefined, place];
        return [decodeURIComponent((host ?? '').replace(/^\[(.*)\]$/, '$1')), port ?? numbered?.[0]];
      });
  if (named && numbered && numbered.length > 1 && numbered.length !== named.length)
    faults.push(`has ${named.length} hosts and ${numbered.length} ports`);
  const hosts = pairs.map(([host, port]) => {
    const number = port ? Number(port) : DEFAULT_PORT;
    if (!(Number.isInteger(number) && number > 0 && number <= 65_535))
      faults.push(`has the port '${port}', which is not a number from 1 to 65535`);
    if (!host && pairs.length > 1) faults.push('has an empty host name');
    return { host: host || 'localhost', port: number };
  });
  return { hosts, faults };
}

type TlsParameters = Readonly<Record<string, string | undefined>>;

function readTls(given: TlsParameters): { mode: Tls; options: () => ConnectionOptions; faults: string[] } {
  const { sslrootcert, sslcert, sslkey } = given;
  const hasAny = FILES.some((name) => given[name] !== undefined);
  const mode = given.sslmode ?? (hasAny ? 'verify-full' : 'disable');
  const faults: string[] = [];
  if (!SSL_MODES.includes(mode))
    faults.push(`has sslmode=${mode}, and Tiffin takes one of ${SSL_MODES.join(', ')}`);
  if (mode === 'disable' && hasAny) faults.push('has sslmode=disable and names certificates');
  if (mode === 'verify-ca' && !sslrootcert)
    faults.push('has sslmode=verify-ca without sslrootcert, the file of the authority to trust');
  if (sslrootcert === SYSTEM && mode !== 'verify-full')
    faults.push(
      `has sslrootcert=system with sslmode=${mode}; anyone can get such a certificate, so use verify-full`,
    );
  if ((sslcert === undefined) !== (sslkey === undefined))
    faults.push('has only one of sslcert and sslkey; a client certificate needs both');
  for (const name of FILES) {
    const file = given[name];
    if (file === undefined || (name === 'sslrootcert' && file === SYSTEM)) continue;
    try {
      readFileSync(file);
    } catch (error) {
      faults.push(`has ${name}=${file}, which cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
  }
  const chain = mode === 'verify-full' || mode === 'verify-ca' || (mode === 'require' && sslrootcert);
  return {
    mode: mode === 'disable' ? 'none' : mode === 'prefer' ? 'optional' : 'required',
    faults,
    options: () => ({
      rejectUnauthorized: Boolean(chain),
      ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
      ...(sslrootcert && sslrootcert !== SYSTEM ? { ca: readFileSync(sslrootcert, 'utf8') } : {}),
      ...(sslcert && sslkey
        ? { cert: readFileSync(sslcert, 'utf8'), key: readFileSync(sslkey, 'utf8') }
        : {}),
    }),
  };
}

/** Reads the address of a Redis: one server, servers behind Sentinel, or a Redis Cluster. */

export interface RedisAddress {
  readonly kind: 'server' | 'sentinel' | 'cluster';
  readonly isTls: boolean;
  /** The server, the Sentinels, or some of the nodes of the cluster. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Number of the logical database; 0 for a cluster. */
  readonly db: number;
  /** The name under which the Sentinels know the primary; empty for the other kinds. */
  readonly name: string;
  /** The login at the Sentinels themselves. */
  readonly sentinelUsername?: string | undefined;
  readonly sentinelPassword?: string | undefined;
}

const KINDS = { '': 'server', '+sentinel': 'sentinel', '+cluster': 'cluster' } as const;
const PORTS = { server: 6379, sentinel: 26379, cluster: 6379 };
const PARTS = /^redis(s?)(\+sentinel|\+cluster|):\/\/(.*)$/i;
const HOST = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d*))?$/i;
export const SCHEMES = [
  'redis',
  'rediss',
  'redis+sentinel',
  'rediss+sentinel',
  'redis+cluster',
  'rediss+cluster',
];

/** Every fault, each as the end of a sentence about the URL; a fault repeats nothing of the URL, which may hold a password. */
export class AddressFaults extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join(', and '));
    this.faults = faults;
  }
}

export function redisAddress(url: string): RedisAddress {
  const [, s, suffix, rest] = PARTS.exec(url) ?? [];
  if (rest === undefined)
    throw new AddressFaults([`must begin with ${SCHEMES.map((scheme) => `${scheme}://`).join(' or ')}`]);
  const kind = KINDS[suffix?.toLowerCase() as keyof typeof KINDS];
  const faults: string[] = [];
  const [beforeHash = '', ...hash] = rest.split('#');
  if (hash.length > 0) faults.push('must write the character # as %23');
  const [beforeQuery = '', ...query] = beforeHash.split('?');
  const slash = beforeQuery.indexOf('/');
  const authority = slash < 0 ? beforeQuery : beforeQuery.slice(0, slash);
  const path = slash < 0 ? [] : beforeQuery.slice(slash + 1).split('/');
  const at = authority.lastIndexOf('@');
  const address = {
    kind,
    isTls: s !== '',
    ...loginOf(at < 0 ? '' : authority.slice(0, at), faults),
    hosts: hostsOf(authority.slice(at + 1), kind, faults),
    ...placeOf(path, queryOf(query.join('?'), kind, faults), kind, faults),
  };
  if (faults.length > 0) throw new AddressFaults(faults);
  return address;
}

function loginOf(text: string, faults: string[]) {
  if (text === '') return {};
  const colon = text.indexOf(':');
  if (colon < 0) {
    faults.push('must have a password after the user, as in user:password@');
    return {};
  }
  const username = decoded(text.slice(0, colon), 'user', faults);
  return { username: username || undefined, password: decoded(text.slice(colon + 1), 'password', faults) };
}

function hostsOf(text: string, kind: RedisAddress['kind'], faults: string[]): RedisAddress['hosts'] {
  const hosts = text.split(',');
  if (kind === 'server' && hosts.length > 1)
    faults.push('must have one host, since several need redis+sentinel:// or redis+cluster://');
  return hosts.map((one, index) => {
    const [, host = '', port = ''] = HOST.exec(one) ?? [];
    const which = hosts.length === 1 ? 'the host' : `host ${index + 1}`;
    if (one === '') faults.push(`must not leave ${which} empty`);
    else if (host === '')
      faults.push(`must have a name or an address as ${which}, with at most a port after it`);
    const number = Number(port || PORTS[kind]);
    if (number < 1 || number > 65_535) faults.push(`must have a port from 1 to 65535 at ${which}`);
    return { host: host.replace(/^\[|\]$/g, ''), port: number };
  });
}

/** The parameters behind the question mark. */
function queryOf(text: string, kind: RedisAddress['kind'], faults: string[]): ReadonlyMap<string, string> {
  const known = ['db', ...(kind === 'sentinel' ? ['sentinel_user', 'sentinel_password'] : [])];
  const given = new Map<string, string>();
  for (const part of text.split('&').filter(Boolean)) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    if (!known.includes(name)) faults.push(`must have no parameters other than ${known.join(', ')}`);
    else if (given.has(name)) faults.push(`must have ${name} only once`);
    else given.set(name, decoded(equals < 0 ? '' : part.slice(equals + 1), name, faults));
  }
  return given;
}

/** The database number, which is the last part of the path or a parameter, and what only Sentinel has. */
function placeOf(
  path: readonly string[],
  query: ReadonlyMap<string, string>,
  kind: RedisAddress['kind'],
  faults: string[],
) {
  const parts = path.filter((part, index) => part !== '' || index < path.length - 1);
  const name = kind === 'sentinel' ? decoded(parts.shift() ?? '', 'name of the primary', faults) : '';
  if (kind === 'sentinel' && !/^[\w.-]+$/.test(name))
    faults.push('must have the name of the primary after the Sentinels, as in /mymaster');
  const inPath = parts.shift();
  if (parts.length > 0) faults.push('must end after the database number');
  const number = inPath ?? query.get('db') ?? '0';
  if (inPath !== undefined && query.has('db')) faults.push('must have the database number once, not twice');
  else if (!/^\d{1,6}$/.test(number)) faults.push('must have digits as the database number');
  else if (kind === 'cluster' && Number(number) !== 0)
    faults.push('must have no database number, since a Redis Cluster has only one database');
  return {
    db: Number(number),
    name,
    sentinelUsername: query.get('sentinel_user'),
    sentinelPassword: query.get('sentinel_password'),
  };
}

function decoded(text: string, what: string, faults: string[]): string {
  try {
    return decodeURIComponent(text);
  } catch {
    faults.push(`must write the character % of the ${what} as %25`);
    return '';
  }
}

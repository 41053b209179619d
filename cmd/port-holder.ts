/** Names the process that listens on a port; only on Linux, and only a process that this user may inspect. */
import fs from 'node:fs';

const LISTENING = '0A';
const LONGEST_COMMAND = 80;

/** Such as `process 4711 (node server.js)`. */
export function portHolder(port: number): string | undefined {
  try {
    const sockets = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeners(table, port)));
    const pid = fs.readdirSync('/proc').find((entry) => /^\d+$/.test(entry) && holds(entry, sockets));
    if (!pid) return undefined;
    const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return `process ${pid} (${command.slice(0, LONGEST_COMMAND)})`;
  } catch {
    return undefined;
  }
}

/** The link targets of the descriptors of the port's listening sockets, such as `socket:[4711]`. */
function listeners(table: string, port: number): string[] {
  if (!fs.existsSync(table)) return [];
  return fs
    .readFileSync(table, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local = '', , state]) =>
        state === LISTENING && Number.parseInt(local.split(':')[1] ?? '', 16) === port,
    )
    .map((fields) => `socket:[${fields[9]}]`);
}

function holds(pid: string, sockets: ReadonlySet<string>): boolean {
  try {
    return fs
      .readdirSync(`/proc/${pid}/fd`)
      .some((fd) => sockets.has(fs.readlinkSync(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return false; // The process has ended, or belongs to another user.
  }
}

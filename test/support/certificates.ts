/** Certificates for tests, made by openssl: an authority, and what it signs for 127.0.0.1. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Authority {
  /** PEM file with the authority's own certificate. */
  readonly file: string;
  /** Files with a certificate that it signs, its key, and both together. */
  sign(name: string): { readonly cert: string; readonly key: string; readonly both: string };
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];

export function authority(dir: string, name: string): Authority {
  const file = join(dir, `${name}.pem`);
  const key = join(dir, `${name}.key`);
  request('-keyout', key, '-out', file, '-subj', `/CN=${name}`);
  return {
    file,
    sign(subject) {
      const made = {
        cert: join(dir, `${name}-${subject}.pem`),
        key: join(dir, `${name}-${subject}.key`),
        both: join(dir, `${name}-${subject}-both.pem`),
      };
      request(
        ...['-CA', file, '-CAkey', key, '-keyout', made.key, '-out', made.cert, '-subj', `/CN=${subject}`],
        ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-addext', 'basicConstraints=CA:FALSE'],
      );
      writeFileSync(made.both, readFileSync(made.key, 'utf8') + readFileSync(made.cert, 'utf8'));
      return made;
    },
  };
}

function request(...args: string[]): void {
  execFileSync('openssl', ['req', '-x509', ...NEW_KEY, ...args], { stdio: 'pipe' });
}

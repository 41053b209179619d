/** Checks the PEM files that settings name for TLS. */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

export interface NamedFile {
  /** The setting. */
  readonly name: string;
  readonly file: string | undefined;
}

/** Files that are missing, cannot be read, or in which TLS cannot use what it finds; each fault without a full stop. */
export function faultsOfTlsFiles(ca: NamedFile, cert: NamedFile, key: NamedFile): string[] {
  const faults = [ca, cert, key].flatMap(faultsOfFile);
  if ((cert.file === undefined) !== (key.file === undefined))
    faults.push(`of ${cert.name} and ${key.name} only one is set; a certificate needs its key`);
  if (faults.length > 0) return faults;
  return [
    ...(ca.file ? faultOfContext(ca.name, { ca: readFileSync(ca.file) }) : []),
    ...(cert.file && key.file
      ? faultOfContext(`${cert.name} with ${key.name}`, {
          cert: readFileSync(cert.file),
          key: readFileSync(key.file),
        })
      : []),
  ];
}

export function faultsOfFile({ name, file }: NamedFile): string[] {
  if (file === undefined) return [];
  try {
    readFileSync(file);
    return [];
  } catch (error) {
    return [`${name} names '${file}', which cannot be read (${(error as Error).message})`];
  }
}

function faultOfContext(names: string, files: Parameters<typeof createSecureContext>[0]): string[] {
  try {
    createSecureContext(files);
    return [];
  } catch (error) {
    return [`${names} cannot be used (${(error as Error).message})`];
  }
}

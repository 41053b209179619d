/** Reads the configuration from environment variables; the error names every wrong setting. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { faultsOfKafka } from './config/kafka-access.ts';
import { faultsOfRedis } from './config/redis-access.ts';
import { SETTINGS } from './config/settings.ts';
import { ConfigError } from './faults.ts';

const schema = z.object(SETTINGS);

export type Config = z.infer<typeof schema>;

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|::1)$/;

/** Adds the settings of a `.env` file in the current directory, where there is one, to the environment. */
export function loadEnvFile(): void {
  try {
    process.loadEnvFile();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw new ConfigError(`The file .env cannot be read (${message}).`);
  }
}

export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  // An empty variable counts as not set: that is how compose files and .env files omit a setting.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(withSecretOfFile(given));
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => {
      const name = String(path[0]);
      // A URL or a command may hold a password.
      return /_(URL|SECRET|KEY|PASSWORD|COMMAND)$/.test(name)
        ? `${name} ${message}`
        : `${name} ${message}, and it is '${env[name]}'`;
    });
    throw new ConfigError(`${faults.join('; ')}.`);
  }
  const config = parsed.data;
  assertAuthIsMeant(config);
  const faults = [...faultsOfKafka(config), ...faultsOfRedis(config)];
  if (faults.length > 0) throw new ConfigError(`${faults.join('; ')}.`);
  return config;
}

/** The settings with the secret that AUTH_JWT_SECRET_FILE holds. */
function withSecretOfFile(given: Readonly<Record<string, string | undefined>>) {
  const { AUTH_JWT_SECRET_FILE: file, AUTH_JWT_SECRET: secret } = given;
  if (file === undefined) return given;
  if (secret !== undefined)
    throw new ConfigError('AUTH_JWT_SECRET and AUTH_JWT_SECRET_FILE are both set; set only one of them.');
  try {
    return { ...given, AUTH_JWT_SECRET: readFileSync(file, 'utf8').trim() };
  } catch (error) {
    throw new ConfigError(
      `AUTH_JWT_SECRET_FILE names '${file}', which cannot be read (${(error as Error).message}).`,
    );
  }
}

function assertAuthIsMeant({ HOST, AUTH, AUTH_JWT_SECRET, AUTH_JWKS_URL, ...config }: Config): void {
  if (AUTH_JWT_SECRET && AUTH_JWKS_URL) {
    throw new ConfigError(
      'AUTH_JWT_SECRET and AUTH_JWKS_URL are both set, but only one of them can be used to check tokens.',
    );
  }
  const key = AUTH_JWT_SECRET ? 'AUTH_JWT_SECRET' : AUTH_JWKS_URL ? 'AUTH_JWKS_URL' : undefined;
  if (AUTH === 'off' && key) {
    throw new ConfigError(`AUTH is off, and ${key} is set; set only one of them.`);
  }
  for (const name of ['AUTH_AUDIENCE', 'AUTH_ISSUER'] as const)
    if (config[name] && !key)
      throw new ConfigError(
        `${name} is set, but without AUTH_JWT_SECRET or AUTH_JWKS_URL no token is checked; set one of them.`,
      );
  if (!LOOPBACK.test(HOST) && AUTH !== 'off' && !key) {
    throw new ConfigError(
      `HOST is '${HOST}', which other machines can reach, but authentication is not configured; listen on 127.0.0.1, set AUTH_JWT_SECRET or AUTH_JWKS_URL, or set AUTH=off if a proxy in front of Tiffin controls access.`,
    );
  }
}

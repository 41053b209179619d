/** Prints a bearer token for a person or a program, signed with the secret of this installation. */
import { SignJWT } from 'jose';
import { ROLES } from '../internal/transport/http/principal.ts';
import { loadEnvFile, readConfig } from './config.ts';
import { ConfigError, describeFault } from './faults.ts';

const USAGE = `Usage: npm run token -- <role> [id]

Prints a token that is valid for twelve hours. The role is ${ROLES.join(', ')}; the id is that of
the customer, the restaurant or the rider, or the operator's name.
`;

async function main([role = '', subject = 'operator', ...rest]: readonly string[]): Promise<void> {
  const isKnown = (ROLES as readonly string[]).includes(role);
  if (!isKnown || rest.length > 0 || (role !== 'operator' && subject === 'operator'))
    return void process.stdout.write(USAGE);
  loadEnvFile();
  const { AUTH_JWT_SECRET, AUTH_AUDIENCE, AUTH_ISSUER } = readConfig(process.env);
  if (!AUTH_JWT_SECRET)
    throw new ConfigError(
      'Neither AUTH_JWT_SECRET nor AUTH_JWT_SECRET_FILE is set, so a token cannot be signed here.',
    );
  const token = new SignJWT({ roles: [role] })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime('12h');
  if (AUTH_AUDIENCE) token.setAudience(AUTH_AUDIENCE);
  if (AUTH_ISSUER) token.setIssuer(AUTH_ISSUER);
  process.stdout.write(`${await token.sign(new TextEncoder().encode(AUTH_JWT_SECRET))}\n`);
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`token: ${describeFault(error)}\n`);
  process.exit(1);
});

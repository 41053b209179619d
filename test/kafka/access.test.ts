/** Kafka with TLS and a login: every way in on a real broker, and what is said and done when the broker refuses. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { copyFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { UnsecuredJWT } from 'jose';
import { kafkaAccessOf } from '../../cmd/config/kafka-access.ts';
import { readConfig } from '../../cmd/config.ts';
import { lonelyBus } from '../contract/kafka-stream.ts';
import { authority } from '../support/certificates.ts';
import { whyNoKafka } from '../support/kafka.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { PASSWORD, type SecureKafka, startSecureKafka, USER } from '../support/secure-kafka.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

const skip = (await whyNoKafka()) ?? false;

type Env = Readonly<Record<string, string>>;

describe('Kafka with TLS and a login', { skip, timeout: 300_000 }, () => {
  let kafka: SecureKafka;
  const given: string[] = [];
  /** Gives tokens that are valid for this long, seconds. */
  let lifetimeS = 600;
  const service = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk);
    const isRight =
      req.headers.authorization === `Basic ${Buffer.from('tiffin:a%20secret').toString('base64')}` &&
      Buffer.concat(chunks).toString() === 'grant_type=client_credentials&scope=orders';
    if (!isRight) return void res.writeHead(401).end();
    const token = unsecuredToken(lifetimeS);
    given.push(token);
    res.end(JSON.stringify({ access_token: token, expires_in: lifetimeS, token_type: 'Bearer' }));
  });

  before(async () => {
    kafka = await startSecureKafka();
    service.listen(0, '127.0.0.1');
  });
  after(async () => {
    service.close();
    await kafka?.close();
  });

  const tls = (): Env => ({
    KAFKA_BROKERS: kafka.login,
    KAFKA_SSL: 'yes',
    KAFKA_CA_FILE: kafka.authority.file,
  });
  const password = (mechanism: string): Env => ({
    ...tls(),
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_USERNAME: USER,
    KAFKA_PASSWORD: PASSWORD,
  });
  const tokenService = (): Env => ({
    ...tls(),
    KAFKA_SASL_MECHANISM: 'oauthbearer',
    KAFKA_USERNAME: 'tiffin',
    KAFKA_PASSWORD: 'a secret',
    KAFKA_TOKEN_SCOPE: 'orders',
    KAFKA_TOKEN_URL: `http://127.0.0.1:${(service.address() as AddressInfo).port}/token`,
  });
  /** A bus as the program makes it from these settings. */
  const busOf = (env: Env) =>
    lonelyBus(String(env.KAFKA_BROKERS), undefined, { access: kafkaAccessOf(readConfig(env)) });

  /** Sends records and reads them back over a bus, and closes it. */
  async function passes(env: Env): Promise<void> {
    const { bus } = busOf(env);
    const read: string[] = [];
    try {
      await bus.subscribe({
        group: randomUUID(),
        topics: ['order.ready'],
        types: [],
        async handle({ deliveries }) {
          read.push(...deliveries.map(({ key }) => key));
        },
      });
      await bus.send([{ topic: 'order.ready', key: 'one', value: 1, headers: {} }]);
      await until('the record to be read', () => read.length === 1);
      assert.equal(bus.fault(), undefined);
    } finally {
      await bus.close();
    }
  }

  for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'])
    it(`records are sent and read with a login by ${mechanism}`, () => passes(password(mechanism)));

  it('records are sent and read with a certificate of the client', () => {
    const { cert, key } = kafka.authority.sign('tiffin');
    return passes({
      ...tls(),
      KAFKA_BROKERS: kafka.certificate,
      KAFKA_CERT_FILE: cert,
      KAFKA_KEY_FILE: key,
    });
  });

  it('records are sent and read with a token that a command prints', () => {
    writeFileSync(join(kafka.dir, 'token'), unsecuredToken(600));
    return passes({
      ...tls(),
      KAFKA_SASL_MECHANISM: 'oauthbearer',
      KAFKA_TOKEN_COMMAND: `cat '${kafka.dir}/token'`,
    });
  });

  it('records are sent and read with the token of a login service, which is asked once', async () => {
    given.length = 0;
    await passes(tokenService());
    assert.equal(given.length, 1);
  });

  it('a token is renewed before it ends, and connections that outlive it go on', async () => {
    given.length = 0;
    lifetimeS = 10;
    const startedAt = performance.now();
    const { bus } = busOf(tokenService());
    let sent = 0;
    const read = new Set<string>();
    try {
      await bus.subscribe({
        group: randomUUID(),
        topics: ['order.ready'],
        types: [],
        async handle({ deliveries }) {
          for (const { key } of deliveries) read.add(key);
        },
      });
      await until('the first token to end, while records pass', async () => {
        sent += 1;
        await bus.send([{ topic: 'order.ready', key: String(sent), value: sent, headers: {} }]);
        return performance.now() - startedAt > 1_000 * lifetimeS + 500;
      });
      assert.ok(given.length > 1);
      await until('all to be read', () => read.size === sent);
      assert.equal(bus.fault(), undefined);
    } finally {
      lifetimeS = 600;
      await bus.close();
    }
  });

  const REFUSALS: readonly [what: string, env: () => Env, sentence: RegExp][] = [
    [
      'a wrong password',
      () => ({ ...password('scram-sha-512'), KAFKA_PASSWORD: 'wrong' }),
      /^Kafka: the broker refuses the login of this client: .*invalid credentials/,
    ],
    [
      'an authority that did not sign the certificate of the broker',
      () => ({ ...password('plain'), KAFKA_CA_FILE: authority(kafka.dir, 'stranger').file }),
      /^Kafka: the broker's certificate is not signed by an authority that KAFKA_CA_FILE names$/,
    ],
    [
      'a certificate of a stranger',
      () => {
        const { cert, key } = authority(kafka.dir, 'other').sign('tiffin');
        return { ...tls(), KAFKA_BROKERS: kafka.certificate, KAFKA_CERT_FILE: cert, KAFKA_KEY_FILE: key };
      },
      /^Kafka: the broker refuses the certificate of this client/,
    ],
    [
      'a login service that refuses',
      () => ({ ...tokenService(), KAFKA_PASSWORD: 'wrong' }),
      /^Kafka: KAFKA_TOKEN_URL answered 401$/,
    ],
    [
      'a command that prints too much',
      () => ({
        ...tls(),
        KAFKA_SASL_MECHANISM: 'oauthbearer',
        KAFKA_TOKEN_COMMAND: 'head -c 100000 /dev/zero',
      }),
      /^Kafka: KAFKA_TOKEN_COMMAND failed \(ERR_CHILD_PROCESS_STDIO_MAXBUFFER\)/,
    ],
  ];
  for (const [what, env, sentence] of REFUSALS) {
    it(`${what} is one line in the log and the fault of the stream`, async () => {
      const { bus, lines } = busOf(env());
      try {
        const subscription = { topics: ['order.ready'], types: [], handle: async () => {} };
        for (const group of ['one', 'two']) await bus.subscribe({ ...subscription, group });
        await until('the fault to be known', () =>
          sentence.test(bus.fault()?.replace(/^(one|two): /, '') ?? ''),
        );
        await until('several attempts', () => lines.filter(({ fields }) => fields.err).length > 3);
        const warnings = lines.filter(({ level }) => level === 'warn' || level === 'error');
        assert.deepEqual(
          warnings.map(({ level, message }) => [level, message]),
          [['warn', 'Kafka cannot be used; this is retried']],
        );
        const fault = warnings[0]?.fields.err as Error | undefined;
        assert.match(String(fault?.message), sentence);
      } finally {
        await bus.close();
      }
    });
  }

  it('a program goes on by itself once its authority and its password are mended', async () => {
    const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    const files = { ca: join(kafka.dir, 'given-ca.pem'), password: join(kafka.dir, 'given-password') };
    copyFileSync(authority(kafka.dir, 'yesterday').file, files.ca);
    writeFileSync(files.password, 'wrong');
    const env = {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      KAFKA_BROKERS: kafka.login,
      KAFKA_SSL: 'yes',
      KAFKA_CA_FILE: files.ca,
      KAFKA_SASL_MECHANISM: 'scram-sha-512',
      KAFKA_USERNAME: USER,
      KAFKA_PASSWORD_FILE: files.password,
      KAFKA_PREFIX: `${randomUUID().slice(0, 8)}.`,
    };
    const programs: Program[] = [];
    try {
      const api = await startProgram(env, ['order-service']);
      const worker = await startProgram(env, ['event-relay', 'scheduler-worker', 'processing-service']);
      programs.push(api, worker);
      const readiness = () => request('GET', `${worker.url}/readyz`);
      const refusedFor = (reason: RegExp) =>
        until(`not to be ready: ${reason}`, async () => {
          const { status, body } = await readiness();
          return status === 503 && reason.test(JSON.stringify(body));
        });
      await refusedFor(/is not signed by an authority/);
      await request('POST', `${api.url}/orders`, { id: 'order-1', customer_name: 'Asha', total_price: 5 });
      copyFileSync(kafka.authority.file, files.ca);
      await refusedFor(/refuses the login/);
      writeFileSync(files.password, `${PASSWORD}\n`);
      await reaches(api.url, 'order-1', 'COMPLETED');
      await until('to be ready', async () => (await readiness()).status === 200);
      const complaints = worker.log.filter(({ level, err }) => level !== 'info' && level !== 'debug' && err);
      assert.deepEqual(
        complaints.map(({ level }) => level).filter((level) => level !== 'warn'),
        [],
      );
    } finally {
      await Promise.all(programs.map((program) => program.kill()));
      await Promise.all([database.drop(), redis.drop()]);
    }
  });
});

/** A token that nobody signed, for a broker that checks only its times. */
function unsecuredToken(lifetimeS: number): string {
  return new UnsecuredJWT({ sub: USER, scope: 'orders' })
    .setIssuedAt()
    .setExpirationTime(`${lifetimeS}s`)
    .encode();
}

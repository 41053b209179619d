/** A transaction that somebody has left open holds back the events of its own database, and the operator learns whose it is. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

describe('a forgotten prepared transaction', { timeout: 180_000 }, () => {
  let postgres: OwnPostgres;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let program: Program;

  before(async () => {
    [postgres, redis] = await Promise.all([
      startOwnPostgres({ max_prepared_transactions: '5' }),
      freshRedis(),
    ]);
    await postgres.query('CREATE DATABASE other');
    program = await startProgram({ DATABASE_URL: postgres.url, REDIS_URL: redis.url });
  });
  after(async () => {
    await program?.kill();
    await Promise.all([postgres?.stop(), redis?.drop()]);
  });

  const place = (id: string) =>
    request('POST', `${program.url}/orders`, { id, customer_name: 'Asha', total_price: 5 });

  async function prepare(database: string, gid: string): Promise<void> {
    const url = new URL(postgres.url);
    url.pathname = database;
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    await client.query('CREATE TABLE elsewhere (n integer)');
    await client.query('BEGIN');
    await client.query('INSERT INTO elsewhere VALUES (1)');
    await client.query(`PREPARE TRANSACTION '${gid}'`);
    await client.end();
  }

  it('of another database holds back no order', async () => {
    await prepare('other', 'a stranger');
    await place('free');
    await reaches(program.url, 'free', 'COMPLETED');
  });

  it('of this database holds back orders, is named by a log line and a figure, and orders go on after it', async () => {
    await prepare(new URL(postgres.url).pathname.slice(1), 'forgotten');
    await place('held');
    const line = await until('a log line about it', () =>
      program.log.find(({ msg }) => msg.startsWith('an open transaction holds back the events')),
    );
    assert.equal(line.holder, 'prepared transaction forgotten');
    const { body } = await request('GET', `${program.url}/orders/held`);
    assert.equal(body.status, 'CREATED');
    const figures = await (await fetch(`${program.url}/metrics`)).text();
    const age = /^tiffin_open_transaction_seconds\{holder="prepared transaction forgotten"\} (\S+)$/m.exec(
      figures,
    );
    assert.ok(Number(age?.[1]) > 5, figures.match(/.*open_transaction.*/g)?.join('\n'));
    await postgres.query("ROLLBACK PREPARED 'forgotten'");
    await reaches(program.url, 'held', 'COMPLETED');
  });
});

/** The console on Postgres. */
import { setTimeout as pause } from 'node:timers/promises';
import { openPool } from '../../internal/repository/postgres/database.ts';
import { CHANNEL } from '../../internal/repository/postgres/stream/leader-session.ts';
import { postgresTopicLog } from '../../internal/repository/postgres/stream/topic-log.ts';
import { BEGINNING } from '../../internal/service/ports.ts';
import type { TopicConsole } from './console.ts';

const PAGE = 500;
const POLL_MS = 200;

export function postgresConsole(databaseUrl: string): TopicConsole {
  const pool = openPool(databaseUrl, { max: 2, onError: () => {} });
  const log = postgresTopicLog(pool, () => {});
  return {
    async consume(topic, fromBeginning, take) {
      let place = fromBeginning ? BEGINNING : await log.end();
      for (;;) {
        const page = await log.read(topic, place, PAGE);
        for (const record of page.records) if (!take(JSON.stringify(record))) return;
        place = page.to;
        if (page.records.length < PAGE) await pause(POLL_MS);
      }
    },
    async produce(topic, key, value) {
      await log.produce(topic, [{ key, value: parsed(value) }]);
      // Wakes the readers of the running Tiffin.
      await pool.query(`NOTIFY ${CHANNEL}`);
    },
    close: () => pool.end(),
  };
}

/** As on a Kafka broker, text that is not JSON is produced too; a consumer makes a dead letter of it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

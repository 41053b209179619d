/** `npm run cassandra`: runs a node on 127.0.0.1 with its data in ./data/cassandra until Ctrl-C. */
import { resolve } from 'node:path';
import { startCassandra } from './node.ts';

const port = Number(process.env.CASSANDRA_PORT || 9042);

try {
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new Error('CASSANDRA_PORT must be a port number');
  const node = await startCassandra({
    dir: resolve('data/cassandra'),
    port,
    onEvent: (msg) => console.error(msg),
  });
  // This process ends when the node ends; without a signal that is a failure.
  process.exitCode = 1;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      await node.stop();
      process.exitCode = 0;
    });
  }
  console.log(`HISTORY_URL='cassandra://${node.address}/tiffin?dc=datacenter1' npm start`);
} catch (error) {
  const hint = (error as Error).message.startsWith('port ') ? '; set CASSANDRA_PORT to another' : '';
  console.error(`${(error as Error).message}${hint}`);
  process.exitCode = 1;
}

/** `npm run kafka`: runs a broker on 127.0.0.1 with its data in ./data/kafka until Ctrl-C. */
import { resolve } from 'node:path';
import { startKafka } from './broker.ts';

const port = Number(process.env.KAFKA_PORT || 9092);

try {
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new Error('KAFKA_PORT must be a port number');
  const broker = await startKafka({
    dir: resolve('data/kafka'),
    port,
    onEvent: (msg) => console.error(msg),
  });
  // This process ends when the broker ends; without a signal that is a failure.
  process.exitCode = 1;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      await broker.stop();
      process.exitCode = 0;
    });
  }
  console.log(`KAFKA_BROKERS=${broker.brokers} npm start`);
} catch (error) {
  const hint = (error as Error).message.startsWith('port ') ? '; set KAFKA_PORT to another' : '';
  console.error(`${(error as Error).message}${hint}`);
  process.exitCode = 1;
}

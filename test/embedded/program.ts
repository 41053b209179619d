/** Stands in for the program: has embedded servers until it gets SIGTERM or is killed, and reports to its parent by IPC. */
import { type EmbeddedOptions, startEmbedded } from '../../cmd/embedded/servers.ts';

const options = JSON.parse(process.argv[2]!) as EmbeddedOptions;
const tell = (message: unknown) => process.connected && process.send?.(message);

try {
  const servers = await startEmbedded(options);
  const { databaseUrl, redisUrl } = servers;
  tell({ up: { databaseUrl, redisUrl } });
  // Embedded servers do not keep a program alive. The real program has its HTTP server for that.
  const alive = setInterval(() => {}, 60_000);
  const stop = async () => {
    await servers.stop();
    clearInterval(alive);
    process.disconnect?.();
  };
  process.on('SIGTERM', stop);
  void servers.failed.then((failed) => {
    tell({ failed });
    return stop();
  });
} catch (error) {
  tell({ refused: (error as Error).message });
  process.exitCode = 1;
  process.disconnect?.();
}

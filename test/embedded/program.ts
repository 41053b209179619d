/** A stand-in for the program: owns embedded servers until it gets SIGTERM or is killed, and tells its parent by IPC. */
import { type EmbeddedOptions, startEmbedded } from '../../cmd/embedded/servers.ts';

const options = JSON.parse(process.argv[2]!) as EmbeddedOptions;
const tell = (message: unknown) => process.connected && process.send?.(message);

try {
  const servers = await startEmbedded(options);
  const { databaseUrl, redisUrl } = servers;
  tell({ up: { databaseUrl, redisUrl } });
  // Embedded servers keep no program alive; the real one has its HTTP server.
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

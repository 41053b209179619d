/** A stand-in for the program: owns embedded servers until it gets SIGTERM or is killed, and tells its parent by IPC. */
import { DataDirInUse, type EmbeddedOptions, startEmbedded } from '../../cmd/embedded/servers.ts';

const options = JSON.parse(process.argv[2]!) as Omit<EmbeddedOptions, 'onEvent'>;
const tell = (message: unknown) => process.connected && process.send?.(message);

try {
  const servers = await startEmbedded({ ...options, onEvent: (event) => tell({ event }) });
  tell({ up: { databaseUrl: servers.databaseUrl, redisUrl: servers.redisUrl } });
  // Embedded servers keep no program alive; the real one has its HTTP server.
  const alive = setInterval(() => {}, 60_000);
  process.on('SIGTERM', async () => {
    await servers.stop();
    clearInterval(alive);
    process.disconnect?.();
  });
} catch (error) {
  tell({ refused: (error as Error).message, inUse: error instanceof DataDirInUse });
  process.exitCode = 1;
  process.disconnect?.();
}

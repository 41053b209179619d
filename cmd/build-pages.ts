/** `npm run pages`: builds the pages, as each start does where they are missing or older than their sources. */
import { createLogger } from '../internal/transport/telemetry/logger.ts';
import { loadPages } from './pages.ts';

const { missing } = await loadPages(createLogger('info', 'pretty'));
if (missing) process.exitCode = 1;

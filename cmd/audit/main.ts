/** `npm run audit`: checks the history in a file, prints the table of invariants, and ends with its exit code. */
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { audit, exitCode, tableOf } from './audit.ts';
import { readHistory } from './history.ts';

const USAGE = `Usage: npm run audit -- FILE [--need MARK,MARK]

Checks the history in FILE (docs/testing.md describes its lines). Ends with 1 if an invariant is violated, and with 2 if the
run did not reach a mark that is needed, or the file cannot be read.
`;

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { need: { type: 'string', default: '' }, help: { type: 'boolean', short: 'h' } },
  });
  const [file] = positionals;
  if (values.help || !file) {
    process.stdout.write(USAGE);
    process.exitCode = values.help ? 0 : 2;
  } else {
    const report = audit(readHistory(fs.readFileSync(file, 'utf8')), values.need.split(',').filter(Boolean));
    process.stdout.write(tableOf(report));
    process.exitCode = exitCode(report);
  }
} catch (error) {
  process.stderr.write(`audit: ${(error as Error).message}\n`);
  process.exitCode = 2;
}

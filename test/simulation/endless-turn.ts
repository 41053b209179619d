/** A program of the tests: a run with this seed goes round in promises alone. */
import { watched } from './watchdog.ts';

void watched(
  Number(process.argv[2]),
  async () => {
    for (;;) await undefined;
  },
  500,
);

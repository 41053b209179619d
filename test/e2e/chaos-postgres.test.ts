/** A short run of chaos on the stream in Postgres. */
import { shortChaos } from '../support/short-chaos.ts';

await shortChaos('postgres', 14);

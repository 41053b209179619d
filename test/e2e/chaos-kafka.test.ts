/** A short run of chaos on Kafka. */
import { shortChaos } from '../support/short-chaos.ts';

await shortChaos('kafka', 16);

/** Where places stand on the drawn map, and how far they are apart; pure functions. */
import type { Place } from './tracked-order.ts';

export const WIDTH = 400;
export const HEIGHT = 220;
const MARGIN = 52;
const EARTH_M = 6_371_000;

export type Point = readonly [x: number, y: number];

/** Fits the places into the picture, north up, with one scale for both directions. */
export function projection(places: readonly Place[]): (place: Place) => Point {
  const [north, south] = bounds(places.map(({ latitude }) => latitude));
  const [east, west] = bounds(places.map(({ longitude }) => longitude));
  const narrowing = Math.cos((((north + south) / 2) * Math.PI) / 180);
  const scale = Math.min(
    (WIDTH - 2 * MARGIN) / Math.max((east - west) * narrowing, 1e-5),
    (HEIGHT - 2 * MARGIN) / Math.max(north - south, 1e-5),
  );
  return ({ latitude, longitude }) => [
    Math.round(WIDTH / 2 + (longitude - (east + west) / 2) * narrowing * scale),
    Math.round(HEIGHT / 2 - (latitude - (north + south) / 2) * scale),
  ];
}

function bounds(numbers: readonly number[]): [number, number] {
  return [Math.max(...numbers), Math.min(...numbers)];
}

/** To 50 m, or to 100 m where it is far. */
export function distanceText(from: Place, to: Place): string {
  const radians = (degrees: number) => (degrees * Math.PI) / 180;
  const x = radians(to.longitude - from.longitude) * Math.cos(radians((to.latitude + from.latitude) / 2));
  const metres = EARTH_M * Math.hypot(x, radians(to.latitude - from.latitude));
  return metres < 950
    ? `${Math.max(50, Math.round(metres / 50) * 50)} m`
    : `${(metres / 1_000).toFixed(1)} km`;
}

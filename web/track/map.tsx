/** A drawn map of the way: the restaurant, the door, and the rider, who moves. */
import { useEffect, useState } from 'preact/hooks';
import type { Place, RiderPlace } from './tracked-order.ts';

const WIDTH = 640;
const HEIGHT = 260;
const MARGIN = 56;
const MOST_TRAIL = 200;
const EARTH_M = 6_371_000;

interface MapProps {
  readonly restaurant: Place | undefined;
  readonly destination: Place | undefined;
  readonly rider: RiderPlace | undefined;
}

export function RouteMap({ restaurant, destination, rider }: MapProps) {
  const [trail, setTrail] = useState<readonly RiderPlace[]>([]);
  useEffect(() => {
    if (rider) setTrail((last) => [...last, rider].slice(-MOST_TRAIL));
  }, [rider?.at]);
  const places = [restaurant, destination, rider, ...trail].filter((place) => place !== undefined);
  if (places.length < 2) return null;
  const toPoint = projection(places);
  const line = (all: readonly Place[]) => all.map((place) => toPoint(place).join(',')).join(' ');
  const [riderX, riderY] = rider ? toPoint(rider) : [0, 0];
  const goal = destination ?? restaurant;
  const distance = rider && goal ? distanceText(rider, goal) : '';
  const label = rider
    ? `Map: the rider is ${distance} from ${destination ? 'you' : 'the restaurant'}`
    : 'Map: the restaurant and you';
  return (
    <figure class="map">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
        {restaurant && destination && <polyline class="way" points={line([restaurant, destination])} />}
        {trail.length > 1 && <polyline class="trail" points={line(trail)} />}
        {restaurant && <Mark at={toPoint(restaurant)} text="Restaurant" />}
        {destination && <Mark at={toPoint(destination)} text="You" isGoal />}
        {rider && (
          <g class="rider" style={{ transform: `translate(${riderX}px, ${riderY}px)` }}>
            <circle class="halo" r="18" />
            <circle r="10" />
          </g>
        )}
      </svg>
      {distance && (
        <figcaption>
          Rider {distance} from {destination ? 'you' : 'the restaurant'}
        </figcaption>
      )}
    </figure>
  );
}

function Mark({ at: [x, y], text, isGoal = false }: { at: Point; text: string; isGoal?: boolean }) {
  const isLow = y < 48;
  return (
    <g class={isGoal ? 'mark goal' : 'mark'}>
      {isGoal ? <circle cx={x} cy={y} r="9" /> : <rect x={x - 8} y={y - 8} width="16" height="16" rx="4" />}
      <text x={Math.min(Math.max(x, 44), WIDTH - 44)} y={isLow ? y + 32 : y - 20} text-anchor="middle">
        {text}
      </text>
    </g>
  );
}

type Point = readonly [x: number, y: number];

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

function distanceText(from: Place, to: Place): string {
  const radians = (degrees: number) => (degrees * Math.PI) / 180;
  const x = radians(to.longitude - from.longitude) * Math.cos(radians((to.latitude + from.latitude) / 2));
  const metres = EARTH_M * Math.hypot(x, radians(to.latitude - from.latitude));
  return metres < 950
    ? `${Math.max(50, Math.round(metres / 50) * 50)} m`
    : `${(metres / 1_000).toFixed(1)} km`;
}

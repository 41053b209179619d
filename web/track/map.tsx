/** A drawn map of the way: the restaurant, the door, and the rider, who moves. */
import { useEffect, useState } from 'preact/hooks';
import { distanceText, HEIGHT, type Point, projection, WIDTH } from './projection.ts';
import type { Place, RiderPlace } from './tracked-order.ts';

const MOST_TRAIL = 200;

interface MapProps {
  readonly restaurant: Place | undefined;
  readonly destination: Place | undefined;
  readonly rider: RiderPlace | undefined;
  readonly isPickedUp: boolean;
}

export function RouteMap({ restaurant, destination, rider, isPickedUp }: MapProps) {
  const [trail, setTrail] = useState<readonly RiderPlace[]>([]);
  useEffect(() => {
    if (rider) setTrail((last) => [...last, rider].slice(-MOST_TRAIL));
  }, [rider?.at]);
  const places = [restaurant, destination, rider, ...trail].filter((place) => place !== undefined);
  if (places.length < 2) return null;
  const toPoint = projection(places);
  const line = (all: readonly Place[]) => all.map((place) => toPoint(place).join(',')).join(' ');
  const [riderX, riderY] = rider ? toPoint(rider) : [0, 0];
  const goal = isPickedUp ? destination : restaurant;
  const distance =
    rider && goal ? `${distanceText(rider, goal)} from ${isPickedUp ? 'you' : 'the restaurant'}` : '';
  const label = `Map${distance && `: the rider is ${distance}`}`;
  return (
    <figure class="map">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
        <defs>
          <pattern
            id="streets"
            width="44"
            height="44"
            patternUnits="userSpaceOnUse"
            patternTransform="rotate(-12)"
          >
            <path class="streets" d="M0 0H44M0 0V44" />
          </pattern>
        </defs>
        <rect width={WIDTH} height={HEIGHT} fill="url(#streets)" />
        {restaurant && destination && <polyline class="way" points={line([restaurant, destination])} />}
        {trail.length > 1 && <polyline class="trail" points={line(trail)} />}
        {restaurant && <Mark at={toPoint(restaurant)} text="Restaurant" />}
        {destination && <Mark at={toPoint(destination)} text="You" isGoal />}
        {rider && (
          <g class="rider" style={{ transform: `translate(${riderX}px, ${riderY}px)` }}>
            <circle class="halo" r="15" />
            <circle r="8" />
          </g>
        )}
      </svg>
      {distance && <figcaption>The rider is {distance}</figcaption>}
    </figure>
  );
}

function Mark({ at: [x, y], text, isGoal = false }: { at: Point; text: string; isGoal?: boolean }) {
  const isHigh = y < 40;
  return (
    <g class={isGoal ? 'mark goal' : 'mark'}>
      {isGoal ? <circle cx={x} cy={y} r="7" /> : <rect x={x - 7} y={y - 7} width="14" height="14" rx="4" />}
      <text x={Math.min(Math.max(x, 44), WIDTH - 44)} y={isHigh ? y + 28 : y - 16} text-anchor="middle">
        {text}
      </text>
    </g>
  );
}

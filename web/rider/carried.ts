/** What a rider's page says and does; pure functions of the rider and its orders as the API shows them, and of now, epoch ms. */
import type { components } from '../api.d.ts';
import { timeText } from '../times.ts';

export type Carried = components['schemas']['CarriedOrder'];
export type Rider = components['schemas']['Rider'];
export type Place = NonNullable<Rider['location']>;

export interface Board {
  /** Absent for a rider of another system. */
  readonly rider?: Rider;
  readonly orders: readonly Carried[];
}

const METRES_PER_DEGREE = 111_195;
/** Where the door is not known, the simulated rider goes this far north and east of the restaurant, degrees. */
const SOMEWHERE = 0.009;

/** A rider's id from its name: 'Ravi K.' is 'ravi-k'; empty if nothing of the name can stand in an id. */
export function riderIdFrom(name: string): string {
  const plain = name.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
  return plain
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 64);
}

/** Where the rider has to go next with this order: to the restaurant, or to the door. */
export function goalOf({ status, pickup, dropoff }: Carried): Place | undefined {
  if (status === 'ASSIGNED') return pickup.location;
  if (dropoff.location || !pickup.location) return dropoff.location;
  return { lat: pickup.location.lat + SOMEWHERE, lng: pickup.location.lng + SOMEWHERE };
}

/** The place that is `metres` nearer to the goal, at most the goal; on a plane, which is near enough within a town. */
export function stepTowards(from: Place, to: Place, metres: number): Place {
  const narrowing = Math.cos((to.lat * Math.PI) / 180);
  const distance = Math.hypot(to.lat - from.lat, (to.lng - from.lng) * narrowing) * METRES_PER_DEGREE;
  if (distance <= metres) return to;
  const part = metres / distance;
  return { lat: from.lat + (to.lat - from.lat) * part, lng: from.lng + (to.lng - from.lng) * part };
}

export function readyText({ readyAt }: Carried['pickup'], now: number): string {
  if (!readyAt) return '';
  return Date.parse(readyAt) <= now ? 'The food is ready.' : `Ready at ${timeText(readyAt, now, 'short')}.`;
}

export function addressLines({ address }: Carried['dropoff']): readonly string[] {
  return address ? [address.street, `${address.city}, ${address.state} ${address.zipCode}`] : [];
}

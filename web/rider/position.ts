/** Reports where a rider is: from the device, or on a simulated way to where the rider has to go. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, outcomeOf } from '../server.ts';
import { type Place, stepTowards } from './carried.ts';

export type Source = 'none' | 'device' | 'simulated';

const EVERY_MS = 2_000;
const STEP_M = 60;
/** A rider whose place is unknown begins this far from where it has to go, degrees. */
const AWAY = 0.006;

/** Reports positions as long as the page is open; returns what is wrong, or an empty text. */
export function usePosition(
  id: string,
  source: Source,
  place: Place | undefined,
  goal: Place | undefined,
): string {
  const [fault, setFault] = useState('');
  const latest = useRef({ place, goal });
  latest.current = { place, goal };
  useEffect(() => {
    setFault('');
    if (source === 'device') return fromDevice(id, setFault);
    if (source === 'simulated') {
      const timer = setInterval(() => {
        const { place, goal } = latest.current;
        if (!goal) return;
        const from = place ?? { lat: goal.lat - AWAY, lng: goal.lng - AWAY };
        if (place?.lat !== goal.lat || place.lng !== goal.lng)
          void report(id, stepTowards(from, goal, STEP_M));
      }, EVERY_MS);
      return () => clearInterval(timer);
    }
    return undefined;
  }, [id, source]);
  return fault;
}

function fromDevice(id: string, setFault: (text: string) => void): () => void {
  if (!navigator.geolocation) {
    setFault('This browser does not tell where it is.');
    return () => {};
  }
  let last = 0;
  const watch = navigator.geolocation.watchPosition(
    ({ coords, timestamp }) => {
      if (timestamp - last < EVERY_MS) return;
      last = timestamp;
      setFault('');
      void report(id, { lat: coords.latitude, lng: coords.longitude });
    },
    ({ code }) =>
      setFault(
        code === 1
          ? 'The browser is not allowed to tell where it is; allow it beside the address of this page.'
          : 'The device does not know where it is.',
      ),
    { enableHighAccuracy: true },
  );
  return () => navigator.geolocation.clearWatch(watch);
}

function report(rid: string, body: Place): Promise<unknown> {
  return outcomeOf(api.POST('/v1/riders/{rid}/position', { params: { path: { rid } }, body }));
}

/** The sound of a new ticket, made by the browser itself, and whether it is on; remembered by this browser. */
import { useEffect, useState } from 'preact/hooks';
import { allowed } from '../server.ts';

const SOUND = 'tiffin.sound';
const NOTES_HZ = [880, 1_175];
const NOTE_S = 0.18;

let audio: AudioContext | undefined;

/** A browser plays nothing before the first touch or key, so this is called at each one. */
function wake(): void {
  audio ??= allowed(() => new AudioContext());
  if (audio?.state === 'suspended') audio.resume().catch(() => {});
}

export function playNewTicket(): void {
  if (audio?.state !== 'running') return;
  for (const [n, frequency] of NOTES_HZ.entries()) {
    const from = audio.currentTime + n * NOTE_S;
    const tone = new OscillatorNode(audio, { frequency });
    const volume = new GainNode(audio, { gain: 0 });
    volume.gain.setValueAtTime(0.25, from);
    volume.gain.exponentialRampToValueAtTime(0.001, from + 2 * NOTE_S);
    tone.connect(volume).connect(audio.destination);
    tone.start(from);
    tone.stop(from + 2 * NOTE_S);
  }
}

/** Whether sound is on, and a function that changes it. */
export function useSound(): [isOn: boolean, setOn: (isOn: boolean) => void] {
  const [isOn, set] = useState(() => allowed(() => localStorage.getItem(SOUND)) !== 'off');
  useEffect(() => {
    if (!isOn) return;
    for (const gesture of ['pointerdown', 'keydown']) addEventListener(gesture, wake);
    return () => {
      for (const gesture of ['pointerdown', 'keydown']) removeEventListener(gesture, wake);
    };
  }, [isOn]);
  return [
    isOn,
    (next) => {
      set(next);
      allowed(() => localStorage.setItem(SOUND, next ? 'on' : 'off'));
      if (!next) return;
      wake();
      // So that who turns it on hears it.
      setTimeout(playNewTicket, 100);
    },
  ];
}

/** Finds, creates and updates the page's elements. */
import { timeText } from './view.js';

export const $ = (id) => document.getElementById(id);

/** Creates an element; children that are strings become text, never HTML. */
export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function timeElement(at, style) {
  return element('time', { dateTime: at, textContent: timeText(at, Date.now(), style) });
}

/** Sets an element's text if it is a different one, so that a screen reader does not repeat unchanged text. */
export function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

/** Runs `act`; null if the browser forbids storage, and then the page remembers only while it is open. */
export function allowed(act) {
  try {
    return act();
  } catch {
    return null;
  }
}

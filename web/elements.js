/** The page's elements: found, made of text, and changed only where they say something else. */
import { timeText } from './view.js';

export const $ = (id) => document.getElementById(id);

/** Children that are text stay text. */
export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function timeElement(at, style) {
  return element('time', { dateTime: at, textContent: timeText(at, Date.now(), style) });
}

/** Unchanged text is left alone, so that it is not read out again. */
export function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

/** A browser may forbid its storage; then the page remembers until it is left. */
export function allowed(act) {
  try {
    return act();
  } catch {
    return null;
  }
}

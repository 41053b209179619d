/** Talks to the server: requests with the token of this tab, what is wrong in sentences, and streams of events. */
import { $, allowed, say } from './elements.js';
import { eventReader } from './view.js';

const TOKEN = 'tiffin.token';
/** A stream says at least that it is still there every 15 s; one that says nothing for this long is gone. */
const QUIET_MS = 40_000;

export const OUT_OF_REACH = 'The server could not be reached.';

let token = allowed(() => sessionStorage.getItem(TOKEN)) ?? '';

/** Where the server asks for a token, so does the page. */
export async function ask(path, { body, key, signal } = {}) {
  const response = await fetch(path, {
    method: body ? 'POST' : 'GET',
    cache: 'no-store',
    headers: {
      ...(body ? { 'Content-Type': 'application/json' } : {}),
      ...(key ? { 'Idempotency-Key': key } : {}),
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    ...(signal ? { signal } : {}),
  });
  if (response.status === 401) {
    $('access').hidden = false;
    say('access-fault', token ? 'This token does not open it.' : 'This asks for a token.');
  }
  return response;
}

export async function faultsOf(response) {
  const { errors } = await response.json().catch(() => ({}));
  return Array.isArray(errors) ? errors : [{ detail: `The server answered ${response.status}.` }];
}

export async function sentenceOf(response) {
  return (await faultsOf(response)).map(({ detail }) => detail).join('; ');
}

/** Until the stream ends, by itself or for its silence; throws where the connection is lost. */
export async function readStream(body, onEvent) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const read = eventReader(onEvent);
  let watchdog;
  try {
    for (;;) {
      watchdog = setTimeout(() => reader.cancel(), QUIET_MS);
      const { done, value } = await reader.read();
      clearTimeout(watchdog);
      if (done) return;
      read(decoder.decode(value, { stream: true }));
    }
  } finally {
    clearTimeout(watchdog);
  }
}

/** Calls back once there is another token to try with. */
export function onToken(act) {
  $('access').addEventListener('submit', (event) => {
    event.preventDefault();
    // What is not of these cannot stand in a header.
    token = $('token').value.replace(/[^\x21-\x7e]/g, '');
    allowed(() => sessionStorage.setItem(TOKEN, token));
    $('access').hidden = true;
    say('access-fault', '');
    act();
  });
}

/** Talks to the server: requests with this tab's token, the faults of an answer, and streams of events. */
import { $, allowed, say } from './elements.js';
import { eventReader } from './view.js';

const TOKEN = 'tiffin.token';
/** The server sends at least a heartbeat every 15 s; a stream that is silent for this long is taken as lost. */
const QUIET_MS = 40_000;

export const OUT_OF_REACH = 'The server could not be reached.';

let token = allowed(() => sessionStorage.getItem(TOKEN)) ?? '';

/** Sends a request. If the server refuses the token or requires one, the page asks the user for a token. */
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
    say('access-fault', token ? 'This token is not accepted.' : 'An access token is required.');
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

/** Resolves when the stream has ended or was silent for QUIET_MS; throws if the connection is lost. */
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

/** Calls `act` each time the user has entered a token. */
export function onToken(act) {
  $('access').addEventListener('submit', (event) => {
    event.preventDefault();
    // A header cannot hold any other characters.
    token = $('token').value.replace(/[^\x21-\x7e]/g, '');
    allowed(() => sessionStorage.setItem(TOKEN, token));
    $('access').hidden = true;
    say('access-fault', '');
    act();
  });
}

/** Shows one order live, with its history on request, and cancels it. */
import { $, element, say, timeElement } from './elements.js';
import { ask, OUT_OF_REACH, readStream, sentenceOf } from './server.js';
import { etaText, headline, isFinal, pauseMs, paymentText, stepText, stockText } from './view.js';

/** Pauses before reading an order again after its final status, because its stock and payment settle later. */
const AFTER_END_MS = [1_000, 4_000, 15_000];
const ETA_EVERY_MS = 10_000;

/** Aborted when the page stops following the current order. */
let following = new AbortController();
/** The latest view of the order. */
let view;

/** Follows this order, or none, instead of the previous one; calls `onFound` once the order is found. */
export function track(id, onFound) {
  following.abort();
  following = new AbortController();
  view = undefined;
  $('tracking').hidden = id === undefined;
  if (id === undefined) return;
  for (const part of ['status', 'connection', 'tracking-fault', 'cancel-fault', 'history-fault'])
    say(part, '');
  $('tracking-id').textContent = id;
  $('shown').hidden = true;
  $('history').open = false;
  $('entries').replaceChildren();
  delete $('tracking').dataset.state;
  $('tracking-title').focus();
  follow(id, following.signal, onFound);
}

function pathOf(id) {
  return `/ui/orders/${encodeURIComponent(id)}`;
}

/** Reconnects until the order has ended, the server refuses the request, or the page stops following the order. */
async function follow(id, signal, onFound) {
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      const response = await ask(`${pathOf(id)}/stream`, { signal });
      if (!response.ok && response.status < 500) {
        const sentence = await sentenceOf(response);
        if (!signal.aborted) say('tracking-fault', sentence);
        return;
      }
      if (response.ok) {
        let hasEnded = false;
        await readStream(response.body, (type, data) => {
          if (signal.aborted) return;
          if (type === 'end') hasEnded = true;
          if (type !== 'view') return;
          failures = 0;
          say('connection', 'Updated live.');
          if (!view) onFound(id);
          render(JSON.parse(data));
        });
        if (hasEnded) return await afterEnd(id, signal);
      }
    } catch {
      // The connection was lost, or the page no longer follows this order.
    }
    if (signal.aborted) return;
    say('connection', 'Disconnected; reconnecting.');
    await pause(pauseMs(failures, Math.random()), signal);
  }
}

async function afterEnd(id, signal) {
  say('connection', '');
  for (const ms of AFTER_END_MS) {
    await pause(ms, signal);
    const response = await ask(pathOf(id), { signal });
    if (response.ok && !signal.aborted) render(await response.json());
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true });
  });
}

function render(latest) {
  view = latest;
  const hasFailed = view.status === 'FAILED' || view.status === 'CANCELLED';
  $('tracking').dataset.state = isFinal(view) ? (hasFailed ? 'bad' : 'good') : 'open';
  say('tracking-fault', '');
  say('status', headline(view));
  const facts = [
    ['Stock', stockText(view)],
    ['Payment', paymentText(view)],
    ['Rider', view.rider?.riderId ?? 'None yet'],
    [
      'Items',
      view.items.map(({ quantity, name, itemId }) => `${quantity} × ${name ?? itemId}`).join(', ') || 'None',
    ],
    ['Total', view.totalAmount.toLocaleString([], { style: 'currency', currency: view.currency })],
    ...(view.scheduledAt ? [['Scheduled for', timeElement(view.scheduledAt)]] : []),
    ['Last change', timeElement(view.updatedAt)],
  ];
  $('facts').replaceChildren(
    ...facts.flatMap(([name, value]) => [element('dt', { textContent: name }), element('dd', {}, value)]),
  );
  $('timeline').replaceChildren(
    ...view.timeline.map(({ status, at }) =>
      element('li', {}, element('span', { textContent: stepText(status) }), timeElement(at)),
    ),
  );
  const { activeElement } = document;
  $('cancel').hidden = isFinal(view);
  if ($('cancel').hidden && activeElement === $('cancel')) $('tracking-title').focus();
  $('shown').hidden = false;
  renderEta();
  if ($('history').open) showHistory();
}

function renderEta() {
  const eta = view && !isFinal(view) ? view.eta : null;
  $('eta').hidden = !eta;
  if (!eta) return;
  $('eta-in').textContent = etaText(eta, Date.now());
  $('eta-from').replaceChildren(timeElement(eta.median, 'short'));
  $('eta-to').replaceChildren(timeElement(eta.p90, 'short'));
}

async function showHistory() {
  const { signal } = following;
  try {
    const response = await ask(`${pathOf(view.orderId)}/history`, { signal });
    const { history } = response.ok ? await response.json() : {};
    const fault = history ? '' : await sentenceOf(response);
    if (signal.aborted) return;
    say('history-fault', fault);
    const rows = (history ?? []).map(({ at, eventType, producer, payload }) =>
      element(
        'tr',
        {},
        ...[timeElement(at), eventType, producer, JSON.stringify(payload)].map((cell) =>
          element('td', {}, cell),
        ),
      ),
    );
    $('entries').replaceChildren(...rows);
  } catch {
    if (!signal.aborted) say('history-fault', OUT_OF_REACH);
  }
}

async function cancel() {
  const { signal } = following;
  say('cancel-fault', '');
  try {
    const response = await ask(`/v1/orders/${encodeURIComponent(view.orderId)}/cancel`, { body: {} });
    const fault = response.ok ? '' : await sentenceOf(response);
    if (!signal.aborted) say('cancel-fault', fault);
  } catch {
    if (!signal.aborted) say('cancel-fault', OUT_OF_REACH);
  }
}

$('cancel').addEventListener('click', cancel);
$('history').addEventListener('toggle', () => $('history').open && view && showHistory());
setInterval(renderEta, ETA_EVERY_MS);

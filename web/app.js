/** The page: a form for a new order, the recent orders of this browser, and the order named in the URL. */
import { $, allowed, element, timeElement } from './elements.js';
import { ask, faultsOf, OUT_OF_REACH, onToken } from './server.js';
import { track } from './tracking.js';
import {
  hashOf,
  orderOf,
  randomKey,
  readRecent,
  remember,
  requestKeys,
  sortFaults,
  toRequest,
} from './view.js';

const RECENT = 'tiffin.recent';
const form = $('order');
const keys = requestKeys(randomKey);
let recent = readRecent(allowed(() => localStorage.getItem(RECENT)));

function addLine(itemId = '') {
  const line = $('line').content.cloneNode(true).firstElementChild;
  line.querySelector('[data-field="itemId"]').value = itemId;
  line.querySelector('button').addEventListener('click', () => {
    line.remove();
    numberLines();
    $('add-line').focus();
  });
  $('lines').append(line);
  numberLines();
  return line;
}

function numberLines() {
  [...$('lines').children].forEach((line, n) => {
    line.setAttribute('aria-label', `Item ${n + 1}`);
    line.querySelector('button').setAttribute('aria-label', `Remove item ${n + 1}`);
    for (const field of line.querySelectorAll('[data-field]')) {
      const { field: name } = field.dataset;
      field.dataset.pointer = `/items/${n}/${name}${name === 'itemId' ? ` /items/${n}` : ''}`;
    }
  });
  showKind();
}

/** Shows only the fields of the chosen kind of order. */
function showKind() {
  const { value } = form.elements.kind;
  for (const part of form.querySelectorAll('[data-for]'))
    part.hidden = !part.dataset.for.split(' ').includes(value);
}

function valuesOf() {
  const value = (name) => form.elements[name].value.trim();
  const address = {
    street: value('street'),
    city: value('city'),
    state: value('state'),
    zipCode: value('zipCode'),
  };
  const lines = [...$('lines').children].map((line) =>
    Object.fromEntries(
      [...line.querySelectorAll('[data-field]')].map((field) => [field.dataset.field, field.value.trim()]),
    ),
  );
  const names = ['customerId', 'customerName', 'totalPrice', 'restaurantId', 'time', 'card'];
  return { ...Object.fromEntries(names.map((name) => [name, value(name)])), lines, address };
}

function showFaults(errors) {
  for (const fault of form.querySelectorAll('p.fault')) fault.remove();
  for (const field of form.querySelectorAll('[aria-invalid]')) {
    field.removeAttribute('aria-invalid');
    field.removeAttribute('aria-describedby');
  }
  const fields = new Map(
    [...form.querySelectorAll('[data-pointer]')]
      .filter((field) => !field.closest('[hidden]'))
      .flatMap((field) => field.dataset.pointer.split(' ').map((pointer) => [pointer, field])),
  );
  const { beside, others } = sortFaults(errors, new Set(fields.keys()));
  for (const [pointer, details] of beside) {
    const field = fields.get(pointer);
    const id = `fault-of-${pointer}`;
    // The fields of an item are inside their labels, so their faults are shown below the item.
    const after = field.closest('.line')?.lastElementChild ?? field;
    after.after(element('p', { id, className: 'fault', textContent: details.join('; ') }));
    field.setAttribute('aria-invalid', 'true');
    field.setAttribute('aria-describedby', `${field.getAttribute('aria-describedby') ?? ''} ${id}`.trim());
  }
  $('faults').replaceChildren(...others.map((detail) => element('li', { textContent: detail })));
  form.querySelector('[aria-invalid]')?.focus();
}

async function place() {
  const { path, body } = toRequest(form.elements.kind.value, valuesOf());
  try {
    const response = await ask(path, { body, key: keys.of([path, body]) });
    if (!response.ok) return showFaults(await faultsOf(response));
    const { orderId } = await response.json();
    keys.done();
    keep(orderId);
    location.hash = hashOf(orderId);
  } catch {
    const advice = 'Try again; the order will not be placed twice.';
    showFaults([{ detail: `${OUT_OF_REACH} ${advice}` }]);
  }
}

form.addEventListener('change', showKind);
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (form.getAttribute('aria-busy') === 'true') return;
  form.setAttribute('aria-busy', 'true');
  try {
    showFaults([]);
    await place();
  } finally {
    form.removeAttribute('aria-busy');
  }
});
$('add-line').addEventListener('click', () => addLine().querySelector('input').focus());

function keep(id) {
  const at = recent.find((entry) => entry.id === id)?.at ?? Date.now();
  setRecent(remember(recent, { id, at }));
}

function setRecent(entries) {
  recent = entries;
  allowed(() => localStorage.setItem(RECENT, JSON.stringify(recent)));
  $('recent').hidden = recent.length === 0;
  $('recent-orders').replaceChildren(
    ...recent.map(({ id, at }) =>
      element(
        'li',
        {},
        element('a', { href: hashOf(id), textContent: id }),
        ' ',
        timeElement(new Date(at).toISOString()),
      ),
    ),
  );
}

$('forget').addEventListener('click', () => {
  setRecent([]);
  $('find-id').focus();
});
$('find').addEventListener('submit', (event) => {
  event.preventDefault();
  location.hash = hashOf($('find-id').value.trim());
});

function show() {
  const id = orderOf(location.hash);
  $('home').hidden = id !== undefined;
  document.title = id === undefined ? 'Tiffin' : `Order ${id} · Tiffin`;
  track(id, keep);
}

onToken(() => {
  if (orderOf(location.hash)) show();
  else form.querySelector('button.main').focus();
});
addEventListener('hashchange', show);
addLine('PIZZA-001');
addLine('DRINK-003');
setRecent(recent);
show();

/** The end of the log that readers share: each gets what it wants, in order and once, and few queries are made for it. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import fc from 'fast-check';
import { type Entry, logTail } from '../../../internal/repository/postgres/stream/log-tail.ts';
import { BEGINNING, type LogPosition } from '../../../internal/service/ports.ts';
import type { LogFilter } from '../../../internal/service/stream/ports.ts';
import { gate, turns } from '../../support/turns.ts';

const FAULT = new Error('the connection is gone');
/** Milliseconds from one look at the clock to the next: with 100 no query has to wait for its time, with 19.9 some do. */
let step = 100;
let time = 0;
mock.method(performance, 'now', () => (time += step));

/** 'a b @x' are records of types a and b, and those put on topic x. */
function filterOf(wanted: string): LogFilter {
  return { types: new Set(wanted.match(/(?<!@)\w/g)), topics: new Set(wanted.match(/(?<=@)\w/g)) };
}

function wants({ types, topics }: LogFilter, { eventType, topic }: Entry): boolean {
  return topic === null ? types.has(eventType) : topics.has(topic);
}

const nameOf = ({ delivery }: Entry) => delivery.record;
/** Not as the tail compares them. */
function order(p: LogPosition, q: LogPosition): number {
  return Number(BigInt(p.transactionId) - BigInt(q.transactionId) || BigInt(p.position) - BigInt(q.position));
}

/**
 * A log of records named by type and number: 'a b@x' is a1, of type a, and b2, of type b on topic x. A query sees what
 * there is when it begins, of transactions before the oldest open one, and of that `page` rows; then it waits for `pass`.
 */
function setUp(contents = '', { first = 1n, size = 1, page = 1e9, pass = async () => {} } = {}) {
  const rows: Entry[] = [];
  const open = new Set<bigint>();
  const calls: [from: string, until: string, limit: number][] = [];
  let transactions = first;
  let positions = first;
  const passes: (typeof pass)[] = [];
  const isHeld = ({ at }: Entry) => [...open].some((id) => BigInt(at.transactionId) >= id);

  function commit(id: bigint, contents: string): void {
    for (const [, eventType = '', topic = null] of contents.matchAll(/(\w)(?:@(\w))?/g)) {
      const at = { transactionId: String(id), position: String(positions++) };
      const record = `${eventType}${rows.length + 1}`;
      const delivery = { topic: topic ?? eventType, key: 'o', position: `${id}-${at.position}`, record };
      rows.push({ at, eventType, topic, delivery, size });
    }
    rows.sort((one, other) => order(one.at, other.at));
    open.delete(id);
  }

  const tail = logTail(async (from, until, filter, limit) => {
    calls.push([from.position, until.position, limit]);
    const final = rows.filter((row) => order(row.at, from) > 0 && order(row.at, until) <= 0 && !isHeld(row));
    const looked = final.slice(0, Math.min(limit, page));
    const entries = looked.filter((row) => wants(filter, row));
    const full = looked.length === Math.min(limit, page);
    const stretch = { entries, to: { ...(looked.at(-1)?.at ?? from) }, full, held: rows.some(isHeld) };
    await (passes.shift() ?? pass)();
    return stretch;
  });

  /** One that goes on where its last page ended; `got` is what it was given so far. */
  function reader(wanted: string, from = BEGINNING) {
    const filter = filterOf(wanted);
    // A cursor comes from the database: equal to other positions, but never the same object.
    let at: LogPosition = { ...from };
    const got: unknown[] = [];
    const isMissing = (row: Entry) => order(row.at, at) > 0 && wants(filter, row);
    const missing = () => rows.filter(isMissing).map(nameOf).join(' ');
    /** What is lost has no effect, and is read again. */
    async function read(limit = 100, isLost = false) {
      const there = missing();
      const page = await tail.read(at, filter, limit);
      const { deliveries, to, full, held } = page;
      assert.ok(deliveries.length <= limit);
      if (deliveries.length === 0 && !full && !held) assert.equal(there, '', 'passed over or slept on');
      if (isLost) return page;
      at = to;
      got.push(...deliveries.map(({ record }) => record));
      return page;
    }
    return { read, missing, at: () => at, got: () => got.join(' ') };
  }

  const append = (contents: string) => commit(transactions++, contents);
  if (contents) append(contents);
  return {
    ...{ rows, calls, open, isHeld, reader, append },
    begin: () => open.add(transactions++),
    /** The transaction that began first. */
    commit: (contents: string) => commit([...open][0] ?? transactions++, contents),
    /** Reads, and holds the query once it has seen what is there. */
    async hold(...readers: ReturnType<typeof reader>[]) {
      const end = gate();
      passes.push(() => end.promise);
      const reading = readers.map(({ read }) => read());
      await turns();
      return { reading, ...end };
    },
    /** Where the last record is, or another. */
    at: (number = rows.length) => rows[number - 1]?.at ?? BEGINNING,
  };
}

/** Reads a page with each, and returns what they were given so far. */
async function readAll(...readers: ReturnType<ReturnType<typeof setUp>['reader']>[]): Promise<string[]> {
  await Promise.all(readers.map(({ read }) => read()));
  return readers.map(({ got }) => got());
}

test('readers at the end are served by one query, each with what it wants', async () => {
  const log = setUp('a b a');
  const readers = ['a', 'b', 'a b', 'c', 'a'].map((wanted) => log.reader(wanted));
  await readAll(...readers);
  assert.equal(log.calls.length, 1);
  log.append('b');
  assert.deepEqual(await readAll(...readers), ['a1 a3', 'b2 b4', 'a1 b2 a3 b4', '', 'a1 a3']);
  assert.equal(log.calls.length, 2);
});

test('readers that ask while a query is under way get what was appended meanwhile, by one more query', async () => {
  const log = setUp();
  const [early, other] = [log.reader('a'), log.reader('b')];
  const query = await log.hold(early, other);
  log.append('a');
  const late = readAll(log.reader('a'), log.reader('a'));
  await turns();
  assert.equal(log.calls.length, 1, 'two queries are never under way at once');
  query.open();
  for (const reading of query.reading) assert.deepEqual((await reading).deliveries, []);
  assert.deepEqual([...(await late), ...(await readAll(early))], ['a1', 'a1', 'a1']);
  assert.equal(log.calls.length, 2, 'it is kept for the one who asked before');
  log.append('b');
  assert.deepEqual(await readAll(other), ['b2'], 'and who finds nothing there looks again');
});

test('a reader behind the tail reads by itself up to its start and joins it there', async () => {
  const log = setUp('a a b');
  log.append('a a');
  await log.reader('a b', { transactionId: '1', position: '9' }).read();
  const { read, got } = log.reader('a b');
  for (const _ of [1, 2]) assert.equal((await read(2)).full, true, 'it may go on at once');
  await read();
  assert.equal(got(), 'a1 a2 b3 a4 a5');
  assert.match(log.calls.join(' '), /^9,\d+,\d+ 0,9,2 2,9,2$/, 'what the tail holds is not asked for again');
});

test('a reader ahead moves the tail, also from a query under way, and nobody misses anything', async () => {
  const log = setUp();
  const slow = log.reader('a');
  await slow.read();
  log.append('a a a a');
  const query = await log.hold(slow);
  const ahead = log.reader('a', log.at(3));
  const moving = ahead.read();
  query.open();
  await Promise.all([...query.reading, moving]);
  assert.ok(log.calls.some(([from]) => from === '3'));
  for (const _ of [1, 2]) await slow.read();
  log.append('a');
  const before = log.calls.length;
  assert.deepEqual(await readAll(slow, ahead), ['a1 a2 a3 a4 a5', 'a4 a5']);
  assert.equal(log.calls.length, before + 1, 'they share the tail again');
});

test('a reader of types that nobody wanted before gets them, and the others nothing twice', async () => {
  const log = setUp('b a b');
  const [first, late] = [log.reader('a'), log.reader('b', log.at(1))];
  assert.deepEqual([await readAll(first), await readAll(late)], [['a2'], ['b3']]);
  log.append('a b');
  assert.deepEqual(await readAll(first, late), ['a2 a4', 'b3 b5']);
});

for (const how of ['starts anew', 'starts anew and is moved back to where it was'])
  test(`while a query is under way the tail ${how}, and nobody misses anything or sleeps on it`, async () => {
    const log = setUp('b a');
    const [one, other, late] = [log.reader('a'), log.reader('a'), log.reader('b')];
    await readAll(one, other);
    log.append('b a');
    const query = await log.hold(one);
    // What the query does not look for is wanted now.
    const others = how === 'starts anew' ? readAll(late) : readAll(late, other);
    query.open();
    await Promise.all([...query.reading, others]);
    await readAll(one, other, late);
    assert.deepEqual(await readAll(one, other, late), ['a2 a4', 'a2 a4', 'b1 b3']);
  });

test('what was forgotten is read by those who are so far behind, and the rest is still in memory', async () => {
  const log = setUp('a'.repeat(20), { size: 1_000_000 });
  const readers = [log.reader('a'), log.reader('a')];
  await readAll(...readers);
  const all = log.rows.map(nameOf).join(' ');
  assert.equal(log.calls.length, 3, 'one for the tail and one for each');
  assert.deepEqual(await readAll(...readers, log.reader('a', log.at(19))), [all, all, 'a20']);
  assert.equal(log.calls.length, 3);
});

test('a query that fails does so for all who waited for it, and the next one succeeds', async () => {
  const log = setUp('a');
  const [one, other] = [log.reader('a'), log.reader('a')];
  const query = await log.hold(one, other);
  const late = readAll(log.reader('a'));
  query.fail(FAULT);
  for (const reading of query.reading) await assert.rejects(reading, FAULT);
  assert.deepEqual([...(await late), ...(await readAll(one, other))], ['a1', 'a1', 'a1']);
  assert.equal(log.calls.length, 2);
});

test('a page holds as many records as asked for, and is full while its query or the tail has more', async () => {
  for (const page of [9, 2]) {
    const log = setUp('a b a b a', { page });
    const { read, got } = log.reader('a');
    const pages = ['true a1', 'true a1 a3', 'false a1 a3 a5', 'false a1 a3 a5'].slice(page === 2 ? 0 : 1);
    for (const expected of pages) assert.equal(`${(await read(2)).full} ${got()}`, expected);
  }
});

test('a record on a topic of its own is for those who want the topic, in memory and behind it', async () => {
  for (const isBehind of [false, true]) {
    const log = setUp('a@x a a@y b@x');
    if (isBehind) await log.reader('a b x @a @x', log.at(4)).read();
    const readers = ['a x', 'b @x', '@a'].map((wanted) => log.reader(wanted));
    assert.deepEqual(await readAll(...readers), ['a2', 'a1 b4', '']);
    assert.equal(log.calls.length, isBehind ? 4 : 1);
  }
});

test('places are compared as numbers, of transactions as well as in one', async () => {
  for (const first of [9n, 99n, 2n ** 53n, 2n ** 63n - 3n]) {
    for (const contents of ['aa', 'a']) {
      const log = setUp(contents, { first });
      if (contents === 'a') log.append('a');
      await log.reader('a').read();
      assert.deepEqual(await readAll(log.reader('a', log.at(1))), ['a2'], `${first}`);
      assert.equal(log.calls.length, 1, 'it is in memory');
    }
  }
});

const followers = fc.record({
  wanted: fc.subarray(['a', 'b', 'c', '@x', '@y']).map((words) => words.join(' ')),
  start: fc.nat(20),
  limit: fc.integer({ min: 1, max: 5 }),
  rounds: fc.array(fc.record({ rest: fc.nat(9), isLost: fc.boolean() }), { maxLength: 8 }),
});
const histories = fc.record({
  scheduler: fc.scheduler(),
  writes: fc.array(fc.constantFrom('begin', 'commit', 'a', 'b', 'c', 'a@x', 'b c b@y a'), { maxLength: 25 }),
  readers: fc.array(followers, { minLength: 1, maxLength: 5 }),
  page: fc.integer({ min: 2, max: 6 }),
  size: fc.constantFrom(1, 3_000_000, 20_000_000),
  failures: fc.array(fc.nat(9), { maxLength: 40 }),
  clock: fc.constantFrom(19.9, ...Array<number>(9).fill(step)),
});

test('every reader gets exactly what it wants of the log, in order and once, whatever the others do', async () => {
  const whatever = fc.asyncProperty(histories, async ({ scheduler, clock, ...history }) => {
    step = clock;
    const turn = () => scheduler.schedule(Promise.resolve());
    const failures = history.failures.values();
    const pass = async () => {
      await turn();
      if (failures.next().value === 0) throw FAULT;
    };
    const log = setUp('', { ...history, first: 2n ** 53n - 3n, pass });
    let isWritten = false;

    async function write(): Promise<void> {
      for (const what of history.writes) {
        await turn();
        if (what === 'begin') log.begin();
        else if (what === 'commit') log.commit('a b@x');
        else log.append(what);
      }
      while (log.open.size > 0) log.commit('c');
      isWritten = true;
    }

    async function follow({ wanted, start, limit, rounds }: (typeof history.readers)[number]) {
      for (let n = 0; n < start; n += 1) await turn();
      const from = log.rows.filter((row) => !log.isHeld(row))[start % 7]?.at;
      const { read, got, at } = log.reader(wanted, from);
      for (let round = 0, isLast = false; !isLast || order(at(), log.at()) < 0; round += 1) {
        assert.ok(round < 500, 'it comes to the end');
        for (let n = rounds[round]?.rest ?? 0; n > 0; n -= 1) await turn();
        isLast = isWritten;
        await read(limit, rounds[round]?.isLost).catch((error) => assert.equal(error, FAULT));
      }
      assert.equal(got(), log.reader(wanted, from).missing());
    }

    await scheduler.waitFor(Promise.all([write(), ...history.readers.map(follow)]));
  });
  await fc.assert(whatever, { numRuns: 300 });
});

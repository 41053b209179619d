/** Tests of the shared tail of the event log: every reader gets its records in order and once, with few queries. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import fc from 'fast-check';
import { type Entry, logTail } from '../../../internal/repository/postgres/stream/log-tail.ts';
import { BEGINNING, type LogPosition } from '../../../internal/service/ports.ts';
import type { LogFilter } from '../../../internal/service/stream/ports.ts';
import { gate, turns } from '../../support/turns.ts';

const FAULT = new Error('the connection is gone');
/** Milliseconds between two readings of the clock: with 100 no query has to wait for its interval, with 19.9 some do. */
let step = 100;
let time = 0;
mock.method(performance, 'now', () => (time += step));

/** 'a b @x' selects events of types a and b, and records appended to topic x directly. */
function filterOf(selection: string): LogFilter {
  return { types: new Set(selection.match(/(?<!@)\w/g)), topics: new Set(selection.match(/(?<=@)\w/g)) };
}

function selects({ types, topics }: LogFilter, { eventType, topic }: Entry): boolean {
  return topic === null ? types.has(eventType) : topics.has(topic);
}

const nameOf = ({ delivery }: Entry) => delivery.record;
/** Compares two positions, by another method than the tail's. */
function order(p: LogPosition, q: LogPosition): number {
  return Number(BigInt(p.transactionId) - BigInt(q.transactionId) || BigInt(p.position) - BigInt(q.position));
}

/**
 * A log of records named by type and number: 'a b@x' is a1, of type a, and b2, of type b on topic x. A query sees up to
 * `page` rows of transactions older than the oldest open one, as of its start; then it waits for `pass`.
 */
function setUp(
  contents = '',
  { first = 1n, size = 1, page = 1e9, pass = async () => {}, server = undefined as string | undefined } = {},
) {
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
    const entries = looked.filter((row) => selects(filter, row));
    const full = looked.length === Math.min(limit, page);
    const to = { ...(looked.at(-1)?.at ?? from), ...(server && { server }) };
    const stretch = { entries, to, full, held: rows.some(isHeld) };
    await (passes.shift() ?? pass)();
    return stretch;
  });

  /** A reader that continues where its last page ended; `got` returns the records it has read. */
  function reader(selection: string, from = BEGINNING) {
    const filter = filterOf(selection);
    // A cursor comes from the database: equal to other positions, but never the same object.
    let at: LogPosition = { ...from };
    const got: unknown[] = [];
    const isMissing = (row: Entry) => order(row.at, at) > 0 && selects(filter, row);
    const missing = () => rows.filter(isMissing).map(nameOf).join(' ');
    /** Reads a page; with `isLost` the page is dropped, so it is read again. */
    async function read(limit = 100, isLost = false) {
      const unread = missing();
      const page = await tail.read(at, filter, limit);
      const { deliveries, to, full, held } = page;
      assert.ok(deliveries.length <= limit);
      if (deliveries.length === 0 && !full && !held) assert.equal(unread, '', 'no record was skipped');
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
    /** Commits the open transaction that began first. */
    commit: (contents: string) => commit([...open][0] ?? transactions++, contents),
    /** Starts a read by each reader, and holds its query after it has selected its rows. */
    async hold(...readers: ReturnType<typeof reader>[]) {
      const end = gate();
      passes.push(() => end.promise);
      const reading = readers.map(({ read }) => read());
      await turns();
      return { reading, ...end };
    },
    moveTo(other: string) {
      server = other;
    },
    /** The position of the last record, or of record `number`. */
    at: (number = rows.length) => rows[number - 1]?.at ?? BEGINNING,
  };
}

/** Reads a page with each reader, and returns the records that each has read so far. */
async function readAll(...readers: ReturnType<ReturnType<typeof setUp>['reader']>[]): Promise<string[]> {
  await Promise.all(readers.map(({ read }) => read()));
  return readers.map(({ got }) => got());
}

test('readers at the end of the log share one query, and each gets the records it selects', async () => {
  const log = setUp('a b a');
  const readers = ['a', 'b', 'a b', 'c', 'a'].map((selection) => log.reader(selection));
  await readAll(...readers);
  assert.equal(log.calls.length, 1);
  log.append('b');
  assert.deepEqual(await readAll(...readers), ['a1 a3', 'b2 b4', 'a1 b2 a3 b4', '', 'a1 a3']);
  assert.equal(log.calls.length, 2);
});

test('readers that read during a query get the records appended since its start, by one further query', async () => {
  const log = setUp();
  const [early, other] = [log.reader('a'), log.reader('b')];
  const query = await log.hold(early, other);
  log.append('a');
  const late = readAll(log.reader('a'), log.reader('a'));
  await turns();
  assert.equal(log.calls.length, 1, 'two queries never run at the same time');
  query.open();
  for (const reading of query.reading) assert.deepEqual((await reading).deliveries, []);
  assert.deepEqual([...(await late), ...(await readAll(early))], ['a1', 'a1', 'a1']);
  assert.equal(log.calls.length, 2, 'the early reader got its record from memory');
  log.append('b');
  assert.deepEqual(await readAll(other), ['b2'], 'a reader that finds nothing in memory queries again');
});

test('a reader behind the tail queries by itself up to the start of the tail and joins it there', async () => {
  const log = setUp('a a b');
  log.append('a a');
  await log.reader('a b', { transactionId: '1', position: '9' }).read();
  const { read, got } = log.reader('a b');
  for (const _ of [1, 2]) assert.equal((await read(2)).full, true, 'the next page can be read at once');
  await read();
  assert.equal(got(), 'a1 a2 b3 a4 a5');
  assert.match(log.calls.join(' '), /^9,\d+,\d+ 0,9,2 2,9,2$/, 'records in the tail are not queried again');
});

test('a reader ahead of the tail moves it, even during a query, and no reader misses a record', async () => {
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
  assert.equal(log.calls.length, before + 1, 'both readers share the tail again');
});

test('a reader of types that no other reader selects gets them, and no reader gets a record twice', async () => {
  const log = setUp('b a b');
  const [first, late] = [log.reader('a'), log.reader('b', log.at(1))];
  assert.deepEqual([await readAll(first), await readAll(late)], [['a2'], ['b3']]);
  log.append('a b');
  assert.deepEqual(await readAll(first, late), ['a2 a4', 'b3 b5']);
});

for (const how of ['restarts', 'restarts and is moved back'])
  test(`no reader misses or delays a record when the tail ${how} during a query`, async () => {
    const log = setUp('b a');
    const [one, other, late] = [log.reader('a'), log.reader('a'), log.reader('b')];
    await readAll(one, other);
    log.append('b a');
    const query = await log.hold(one);
    // This reader selects a type that the running query does not.
    const others = how === 'restarts' ? readAll(late) : readAll(late, other);
    query.open();
    await Promise.all([...query.reading, others]);
    await readAll(one, other, late);
    assert.deepEqual(await readAll(one, other, late), ['a2 a4', 'a2 a4', 'b1 b3']);
  });

test('readers that are far behind query the evicted records, and the rest is still in memory', async () => {
  const log = setUp('a'.repeat(20), { size: 1_000_000 });
  const readers = [log.reader('a'), log.reader('a')];
  await readAll(...readers);
  const all = log.rows.map(nameOf).join(' ');
  assert.equal(log.calls.length, 3, 'one query for the tail and one for each reader');
  assert.deepEqual(await readAll(...readers, log.reader('a', log.at(19))), [all, all, 'a20']);
  assert.equal(log.calls.length, 3);
});

test('a failed query rejects for all readers that waited for it, and the next query succeeds', async () => {
  const log = setUp('a');
  const [one, other] = [log.reader('a'), log.reader('a')];
  const query = await log.hold(one, other);
  const late = readAll(log.reader('a'));
  query.fail(FAULT);
  for (const reading of query.reading) await assert.rejects(reading, FAULT);
  assert.deepEqual([...(await late), ...(await readAll(one, other))], ['a1', 'a1', 'a1']);
  assert.equal(log.calls.length, 2);
});

test('at another server, which lacks the last records, each reader fails once and then reads from its cursor', async () => {
  const log = setUp('a a', { server: 'first' });
  const readers = [log.reader('a', { ...BEGINNING, server: 'first' }), log.reader('a')];
  await readAll(...readers);
  // The standby has only the first record, and writes another one in the place of the second.
  log.rows.pop();
  log.moveTo('second');
  for (const { read } of readers) await assert.rejects(read(), { code: 'UNAVAILABLE' });
  const anew = readers.map(() => log.reader('a', { ...log.at(1), server: 'second' }));
  log.append('a');
  assert.deepEqual(await readAll(...anew), ['a2', 'a2']);
});

test('a page has at most `limit` records, and is full while its query or the tail has more', async () => {
  for (const page of [9, 2]) {
    const log = setUp('a b a b a', { page });
    const { read, got } = log.reader('a');
    const pages = ['true a1', 'true a1 a3', 'false a1 a3 a5', 'false a1 a3 a5'].slice(page === 2 ? 0 : 1);
    for (const expected of pages) assert.equal(`${(await read(2)).full} ${got()}`, expected);
  }
});

test('a record that was appended to a topic directly goes to the readers of that topic only, from memory and from a query', async () => {
  for (const isBehind of [false, true]) {
    const log = setUp('a@x a a@y b@x');
    if (isBehind) await log.reader('a b x @a @x', log.at(4)).read();
    const readers = ['a x', 'b @x', '@a'].map((selection) => log.reader(selection));
    assert.deepEqual(await readAll(...readers), ['a2', 'a1 b4', '']);
    assert.equal(log.calls.length, isBehind ? 4 : 1);
  }
});

test('positions are compared as numbers, both transaction ids and positions within a transaction', async () => {
  for (const first of [9n, 99n, 2n ** 53n, 2n ** 63n - 3n]) {
    for (const contents of ['aa', 'a']) {
      const log = setUp(contents, { first });
      if (contents === 'a') log.append('a');
      await log.reader('a').read();
      assert.deepEqual(await readAll(log.reader('a', log.at(1))), ['a2'], `${first}`);
      assert.equal(log.calls.length, 1, 'the record is in memory');
    }
  }
});

const followers = fc.record({
  selection: fc.subarray(['a', 'b', 'c', '@x', '@y']).map((words) => words.join(' ')),
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

test('every reader gets exactly the records it selects, in order and once, for any behaviour of the others', async () => {
  const property = fc.asyncProperty(histories, async ({ scheduler, clock, ...history }) => {
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
      for (const action of history.writes) {
        await turn();
        if (action === 'begin') log.begin();
        else if (action === 'commit') log.commit('a b@x');
        else log.append(action);
      }
      while (log.open.size > 0) log.commit('c');
      isWritten = true;
    }

    async function follow({ selection, start, limit, rounds }: (typeof history.readers)[number]) {
      for (let n = 0; n < start; n += 1) await turn();
      const from = log.rows.filter((row) => !log.isHeld(row))[start % 7]?.at;
      const { read, got, at } = log.reader(selection, from);
      for (let round = 0, isLast = false; !isLast || order(at(), log.at()) < 0; round += 1) {
        assert.ok(round < 500, 'the reader reaches the end');
        for (let n = rounds[round]?.rest ?? 0; n > 0; n -= 1) await turn();
        isLast = isWritten;
        await read(limit, rounds[round]?.isLost).catch((error) => assert.equal(error, FAULT));
      }
      assert.equal(got(), log.reader(selection, from).missing());
    }

    await scheduler.waitFor(Promise.all([write(), ...history.readers.map(follow)]));
  });
  await fc.assert(property, { numRuns: 300 });
});

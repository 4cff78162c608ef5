/**
 * Histories of a store, held against what it promises. Every key is a register whose values have an order of
 * their own, that of their revisions; so whether a history of it is linearizable needs no search: an operation
 * that ended before another began must not have seen more than that one.
 *
 *     put→7  ├──────┤
 *     get         ├─────┤ sees 7 or what was before
 *     get                   ├──┤ sees 7 or something later, never what was before
 */

/** One event of a collection's whole history, as the log has it. */
export interface Recorded {
  revision: number;
  type: "ADDED" | "MODIFIED" | "DELETED";
  key: string;
  /** What the writer put there, its own for each write. */
  tag: string;
}

export interface Operation {
  key: string;
  /** Milliseconds; `end` is infinite where no answer came. */
  start: number;
  end: number;
  call: "create" | "update" | "delete" | "get";
  /** The resourceVersion it insisted on. */
  expected?: number;
  /** The tag it wrote. */
  tag?: string;
  outcome:
    | { is: "written"; revision: number }
    | { is: "deleted" }
    | { is: "seen"; revision: number }
    | { is: "absent" }
    | { is: "exists" }
    | { is: "conflict" }
    | { is: "unknown" };
}

interface Placed {
  operation: Operation;
  /** Places in the key's history at which it may have happened: 0 is before its first event. */
  may(place: number): boolean;
  /** For writes: the one place. */
  writes: number | undefined;
}

/** What is wrong, in words; nothing where everything is as it should be. `history` in order. */
export function checkOperations(history: readonly Recorded[], operations: readonly Operation[]): string[] {
  const problems: string[] = [];
  const byKey = Map.groupBy(history, ({ key }) => key);
  for (const [key, some] of Map.groupBy(operations, (operation) => operation.key)) {
    problems.push(...checkKey(byKey.get(key) ?? [], some).map((problem) => `${key}: ${problem}`));
  }
  const tags = new Set(operations.map(({ tag }) => tag));
  for (const { key, tag, type, revision } of history)
    if (type !== "DELETED" && !tags.has(tag)) problems.push(`${key}: nobody wrote what is there at ${revision}`);
  return [...problems, ...checkRealTime(history, operations)];
}

function checkKey(events: readonly Recorded[], operations: readonly Operation[]): string[] {
  const problems: string[] = [];
  const placed: Placed[] = [];
  for (const operation of operations) {
    const place = placeOf(events, operation);
    if (typeof place === "string") problems.push(place);
    else if (place) placed.push(place);
  }
  problems.push(...checkDeletions(events, operations));
  const times = new Times(placed, events.length);
  for (const one of placed) {
    const { operation } = one;
    const { low, high } = times.around(operation);
    if (one.writes === undefined) {
      if (!somewhere(one, low, high))
        problems.push(`${told(operation)} fits nowhere between ${low} and ${high} of ${events.length} events`);
      // What ended before a write began saw an earlier place than the write's own.
    } else if (low >= one.writes) problems.push(`${told(operation)} took place before one that had ended saw ${low}`);
  }
  return problems;
}

/** Each was asked for by somebody, and acknowledged to one at most. */
function checkDeletions(events: readonly Recorded[], operations: readonly Operation[]): string[] {
  const problems: string[] = [];
  const asked = Map.groupBy(
    operations.filter(({ call }) => call === "delete"),
    ({ expected }) => expected,
  );
  for (const [at, { type, revision }] of events.entries()) {
    if (type !== "DELETED") continue;
    const by = asked.get(events[at - 1]?.revision) ?? [];
    const acknowledged = by.filter(({ outcome }) => outcome.is === "deleted");
    if (acknowledged.length > 1)
      problems.push(`the deletion at ${revision} was acknowledged ${acknowledged.length} times`);
    if (acknowledged.length === 0 && !by.some(({ outcome }) => outcome.is === "unknown"))
      problems.push(`nobody asked for the deletion at ${revision}`);
  }
  return problems;
}

/** What the operations of a key that ended before one began, or begin after it ended, say of its place. */
class Times {
  readonly #ends: { time: number; low: number }[] = [];
  readonly #starts: { time: number; high: number }[] = [];
  readonly #places: number;

  constructor(placed: readonly Placed[], places: number) {
    this.#places = places;
    const known = placed.map((one) => ({ one, ...bounds(one, places) }));
    let low = 0;
    for (const { one, least } of known.toSorted((a, b) => a.one.operation.end - b.one.operation.end)) {
      low = Math.max(low, least);
      this.#ends.push({ time: one.operation.end, low });
    }
    let high = places;
    for (const { one, most } of known.toSorted((a, b) => b.one.operation.start - a.one.operation.start)) {
      high = Math.min(high, one.writes === undefined ? most : most - 1);
      this.#starts.push({ time: one.operation.start, high });
    }
  }

  around({ start, end }: Operation): { low: number; high: number } {
    const before = lastWhere(this.#ends, ({ time }) => time < start);
    const after = lastWhere(this.#starts, ({ time }) => time > end);
    return { low: before?.low ?? 0, high: after?.high ?? this.#places };
  }
}

/** The last of those in the beginning of a list that are so. */
function lastWhere<T>(list: readonly T[], so: (one: T) => boolean): T | undefined {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (so(list[middle] as T)) low = middle + 1;
    else high = middle;
  }
  return list[low - 1];
}

/** The first and last place at which an operation may have been. */
function bounds(one: Placed, places: number): { least: number; most: number } {
  if (one.writes !== undefined) return { least: one.writes, most: one.writes };
  let least = 0;
  while (least < places && !one.may(least)) least += 1;
  let most = places;
  while (most > 0 && !one.may(most)) most -= 1;
  return { least, most };
}

function somewhere(one: Placed, low: number, high: number): boolean {
  for (let place = low; place <= high; place += 1) if (one.may(place)) return true;
  return false;
}

/** undefined: it left no trace and saw nothing. Text: what cannot be. */
function placeOf(events: readonly Recorded[], operation: Operation): Placed | string | undefined {
  const { outcome, tag, expected, call } = operation;
  const at = (place: number): Recorded | undefined => events[place - 1];
  const present = (place: number): boolean => place > 0 && at(place)?.type !== "DELETED";
  const write = (place: number): Placed | string => {
    const before = place - 1;
    if (call === "create" && present(before)) return `${told(operation)} made what was there already`;
    if (expected !== undefined && at(before)?.revision !== expected)
      return `${told(operation)} insisted on ${expected} and followed ${at(before)?.revision ?? "nothing"}`;
    return { operation, writes: place, may: (one) => one === place };
  };
  const read = (may: (place: number) => boolean): Placed => ({ operation, writes: undefined, may });
  switch (outcome.is) {
    case "written": {
      const place = events.findIndex(({ revision }) => revision === outcome.revision) + 1;
      if (place === 0 || at(place)?.tag !== tag) return `${told(operation)} was acknowledged and is not in the history`;
      return write(place);
    }
    case "deleted": {
      const place =
        events.findIndex((event, index) => event.type === "DELETED" && events[index - 1]?.revision === expected) + 1;
      return place === 0 ? `${told(operation)} was acknowledged and is not in the history` : write(place);
    }
    case "unknown": {
      // Deletions leave no mark by which to tell whose they were.
      const place =
        call === "delete" ? 0 : events.findIndex((event) => event.type !== "DELETED" && event.tag === tag) + 1;
      return place === 0 ? undefined : write(place);
    }
    case "seen": {
      const place = events.findIndex(({ revision }) => revision === outcome.revision) + 1;
      return place === 0 ? `${told(operation)} saw what is not in the history` : read((one) => one === place);
    }
    case "absent":
      return read((place) => !present(place));
    case "exists":
      return read(present);
    case "conflict":
      return read((place) => at(place)?.revision !== expected);
  }
}

/** Revisions rise in the order of time over all keys: what was acknowledged before something began is older. */
function checkRealTime(history: readonly Recorded[], operations: readonly Operation[]): string[] {
  const known = new Set(history.map(({ revision }) => revision));
  const writes = operations.flatMap((operation) =>
    operation.outcome.is === "written" && known.has(operation.outcome.revision)
      ? [{ operation, revision: operation.outcome.revision }]
      : [],
  );
  const ended = writes.toSorted((a, b) => a.operation.end - b.operation.end);
  const begun = writes.toSorted((a, b) => a.operation.start - b.operation.start);
  const problems: string[] = [];
  let newest = 0;
  let next = 0;
  for (const { operation, revision } of begun) {
    for (; next < ended.length && (ended[next]?.operation.end ?? 0) < operation.start; next += 1)
      newest = Math.max(newest, ended[next]?.revision ?? 0);
    if (revision <= newest) problems.push(`${told(operation)} got ${revision} after ${newest} had been acknowledged`);
  }
  return problems;
}

/** A watch, with all its resumptions put together, must be the history from where it began. */
export function checkWatch(
  name: string,
  history: readonly Recorded[],
  from: number,
  seen: readonly Recorded[],
): string[] {
  const wanted = history.filter(({ revision }) => revision > from).map(shown);
  const got = seen.map(shown);
  const at = wanted.findIndex((event, index) => event !== got[index]);
  if (at < 0 && got.length === wanted.length) return [];
  const place = at < 0 ? wanted.length : at;
  return [`${name}: event ${place} is ${got[place] ?? "missing"} and should be ${wanted[place] ?? "none"}`];
}

const shown = ({ revision, type, key, tag }: Recorded): string => `${revision} ${type} ${key} ${tag}`;
const told = ({ call, expected, tag, outcome }: Operation): string =>
  `${call}${expected === undefined ? "" : ` at ${expected}`}${tag ? ` of ${tag}` : ""} (${JSON.stringify(outcome)})`;

/** What happens between a question to the journal and its answer: commits and readings of the log held up by hand. */
import { expect, test } from "vitest";
import type { LoggedWrite, Mutation } from "./journal.ts";
import { MemoryJournal } from "./memory.ts";
import { RevisionStore } from "./revisions.ts";
import { FutureRevisionError } from "./store.ts";
import type { KeyValue, ListOptions, StoreEvent } from "./store.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A journal whose next answers wait while `hold` is set. */
class SlowJournal extends MemoryJournal {
  hold: "commit" | "history" | undefined;
  failure: Error | undefined;
  readonly #held: (() => void)[] = [];

  override async commit(batch: Mutation[]): Promise<void> {
    await this.#pause("commit");
    if (this.failure) throw this.failure;
    await super.commit(batch);
  }
  override async history(prefix: string, from: number, to: number, most: number): Promise<LoggedWrite[]> {
    const answer = await super.history(prefix, from, to, most);
    await this.#pause("history");
    return answer;
  }
  /** Lets the oldest held answer go, once there is one. */
  async release(): Promise<void> {
    while (this.#held.length === 0) await turn();
    this.#held.shift()?.();
  }
  #pause(call: "commit" | "history"): Promise<void> {
    return this.hold === call ? new Promise((resolve) => this.#held.push(resolve)) : Promise.resolve();
  }
}

/** A store that was restarted at revision 3 and knows of its past only through the log. */
function restarted(journal: SlowJournal): RevisionStore {
  journal.log = ["/a", "/b", "/c"].map((key, at) => ({
    revision: at + 1,
    key,
    value: bytes("old"),
    createRevision: at + 1,
  }));
  const current = journal.log.map(({ revision, key, createRevision }) => ({
    key,
    value: bytes("old"),
    createRevision,
    modRevision: revision,
  }));
  return new RevisionStore(journal, { revision: 3, compactRevision: 0, current });
}

test("a refused writer waits for the write it lost against, not for all that follow", async () => {
  const journal = new SlowJournal();
  const store = restarted(journal);
  journal.hold = "commit";
  const won = store.put("/a", bytes("1"), 1);
  const lost = store.put("/a", bytes("2"), 1);
  await turn();
  const next = store.put("/other", bytes("x"), 0);
  await journal.release();
  expect(await won).toMatchObject({ ok: true, revision: 4 });
  expect(await lost).toMatchObject({ ok: false, current: { modRevision: 4 } });
  expect(store.revision()).toBe(4);
  await journal.release();
  expect(await next).toMatchObject({ ok: true, revision: 5 });
});

test("a page of the past shows nothing of what is written while the log is read", async () => {
  const journal = new SlowJournal();
  const store = restarted(journal);
  journal.hold = "history";
  const page = store.list("/", { atRevision: 2 });
  await Promise.all([store.put("/a", bytes("new"), 1), store.put("/9", bytes("new"), 0), store.delete("/b", 2)]);
  await journal.release();
  expect((await page).items.map(({ key, modRevision }) => [key, modRevision])).toEqual([
    ["/a", 1],
    ["/b", 2],
  ]);
});

test("a watch misses nothing when recent events are let go while it reads the log", async () => {
  const journal = new SlowJournal();
  const store = restarted(journal);
  const seen: StoreEvent[] = [];
  journal.hold = "history";
  store.watch("/", 1, { events: (batch) => seen.push(...batch), end: () => undefined });
  await turn();
  const writes = 30_000;
  await Promise.all(Array.from({ length: writes }, (_, at) => store.put(`/k/${at}`, bytes("x"), 0)));
  journal.hold = undefined;
  await journal.release();
  while (seen.length < writes + 2) {
    const before = seen.length;
    await turn();
    if (seen.length === before) break;
  }
  expect(seen).toHaveLength(writes + 2);
  expect(seen.every(({ revision }, at) => revision === at + 2)).toBe(true);
});

test("a commit that failed leaves nothing behind where the journal knows so, and the next is taken", async () => {
  const journal = new SlowJournal();
  const store = restarted(journal);
  const seen: StoreEvent[] = [];
  store.watch("/", 3, { events: (batch) => seen.push(...batch), end: () => undefined });
  journal.failure = new Error("the disk is full");
  await expect(store.put("/a", bytes("1"), 1)).rejects.toThrow("the disk is full");
  expect([store.revision(), (await store.get("/a"))?.modRevision]).toEqual([3, 1]);
  journal.failure = undefined;
  expect(await store.put("/a", bytes("2"), 1)).toMatchObject({ ok: true, revision: 4 });
  expect(seen.map(({ revision }) => revision)).toEqual([4]);
});

test("a commit that failed after it reached the log ends the store's writing", async () => {
  const journal = new SlowJournal();
  const store = restarted(journal);
  const ended = Promise.withResolvers<Error | undefined>();
  store.watch("/", 3, { events: () => undefined, end: ended.resolve });
  journal.newest = async () => 4;
  journal.failure = new Error("input/output error");
  await expect(store.put("/a", bytes("1"), 1)).rejects.toThrow("input/output error");
  await expect(store.put("/b", bytes("1"), 2)).rejects.toThrow("input/output error");
  expect((await ended.promise)?.message).toBe("input/output error");
});

test("a watch from a revision that is still to come is refused", async () => {
  const store = restarted(new SlowJournal());
  const ended = Promise.withResolvers<Error | undefined>();
  store.watch("/", 4, { events: () => undefined, end: ended.resolve });
  expect(await ended.promise).toBeInstanceOf(FutureRevisionError);
});

test("a watch by topic gets what comes into it, changes in it and leaves it, from the log and live, and nothing else", async () => {
  const journal = new SlowJournal();
  const store = restarted(journal);
  let looks = 0;
  const of = ({ value }: KeyValue): string => {
    looks += 1;
    return new TextDecoder().decode(value);
  };
  const seen = new Map<string, string[]>();
  for (const value of ["old", "x", "y"]) {
    seen.set(value, []);
    const events = (batch: StoreEvent[]): void => {
      seen.get(value)?.push(...batch.map(({ revision, key }) => `${revision} ${key}`));
    };
    store.watch("/", 1, { events, end: () => undefined }, { name: "content", value, of });
  }
  await turn();
  looks = 0;
  await store.put("/a", bytes("x"), 1);
  expect(looks).toBe(2);
  await store.put("/a", bytes("y"), 4);
  await store.delete("/a", 5);
  await turn();
  expect(Object.fromEntries(seen)).toEqual({
    old: ["2 /b", "3 /c", "4 /a"],
    x: ["4 /a", "5 /a"],
    y: ["5 /a", "6 /a"],
  });
});

test("an index finds values by their answer while they change, and in pages of the past", async () => {
  const store = restarted(new SlowJournal());
  const topic = { name: "content", of: ({ value }: KeyValue) => new TextDecoder().decode(value) };
  const find = async (value: string, options: ListOptions = {}): Promise<string[]> =>
    (await store.list("/", { ...options, topic: { ...topic, value } })).items.map(({ key }) => key);
  await store.addIndexes("/", [topic]);
  await store.put("/d", bytes("new"), 0);
  await store.put("/b", bytes("new"), 2);
  await store.delete("/c", 3);
  expect([await find("old"), await find("new"), await find("none")]).toEqual([["/a"], ["/b", "/d"], []]);
  expect(await find("new", { startAfter: "/b" })).toEqual(["/d"]);
  // A hint only: of the past it may give more, never less.
  expect(await find("old", { atRevision: 3 })).toEqual(["/a", "/b", "/c"]);
});

test("an index over many values tells nothing before it is whole, and everything then", async () => {
  const journal = new MemoryJournal();
  const current = Array.from({ length: 450 }, (_, at) => ({
    key: `/k/${String(at).padStart(3, "0")}`,
    value: bytes(at % 2 === 0 ? "even" : "odd"),
    createRevision: at + 1,
    modRevision: at + 1,
  }));
  const store = new RevisionStore(journal, { revision: 450, compactRevision: 0, current });
  const topic = { name: "content", value: "odd", of: ({ value }: KeyValue) => new TextDecoder().decode(value) };
  const whole = store.addIndexes("/k/", [topic]);
  expect((await store.list("/k/", { topic })).items).toHaveLength(450);
  await store.put("/k/001", bytes("even"), 2);
  await store.put("/k/400", bytes("odd"), 401);
  await whole;
  const found = (await store.list("/k/", { topic })).items;
  expect(found.map(({ value }) => new TextDecoder().decode(value)).every((text) => text === "odd")).toBe(true);
  expect(found).toHaveLength(225);
});

test("a watcher that fails at what it is told ends, and neither the write nor the other watchers notice", async () => {
  const store = restarted(new SlowJournal());
  const ended = Promise.withResolvers<Error | undefined>();
  const seen: StoreEvent[] = [];
  const fail = (): never => {
    throw new Error("cannot show this");
  };
  store.watch("/", 3, { events: fail, end: ended.resolve });
  store.watch("/", 3, { events: (batch) => seen.push(...batch), end: () => undefined });
  await turn();
  expect(await store.put("/a", bytes("1"), 1)).toMatchObject({ ok: true, revision: 4 });
  expect((await ended.promise)?.message).toBe("cannot show this");
  expect(await store.put("/a", bytes("2"), 4)).toMatchObject({ ok: true, revision: 5 });
  expect(seen.map(({ revision }) => revision)).toEqual([4, 5]);
});

/** What every store promises, held against each engine; then what SQLite promises over a restart. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openMemoryStore } from "./memory.ts";
import { openSqliteStore } from "./sqlite.ts";
import { CompactedError, FutureRevisionError } from "./store.ts";
import type { Store, StoreEvent, WatchSubscription } from "./store.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);

interface Watched {
  events: StoreEvent[];
  ended: { error: Error | undefined } | undefined;
  subscription: WatchSubscription;
  /** Resolves when so many events have come, or the watch has ended. */
  reached(count: number): Promise<void>;
}

function watch(store: Store, prefix: string, from: number): Watched {
  let wake: () => void = () => undefined;
  const watched: Watched = {
    events: [],
    ended: undefined,
    subscription: { close: () => undefined, delivered: () => 0 },
    reached: async (count) => {
      while (watched.events.length < count && !watched.ended) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
  watched.subscription = store.watch(prefix, from, {
    events: (batch) => {
      watched.events.push(...batch);
      wake();
    },
    end: (error) => {
      watched.ended = { error };
      wake();
    },
  });
  return watched;
}

const plain = (events: readonly StoreEvent[]): string[] =>
  events.map(({ type, key, revision, value }) => `${revision} ${type} ${key}${value ? `=${text(value)}` : ""}`);

let folder: string;
let store: Store;

const engines: [string, () => Promise<Store>][] = [
  ["memory", async () => openMemoryStore()],
  ["SQLite", () => openSqliteStore({ directory: folder })],
];

describe.each(engines)("%s", (_name, open) => {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "store-"));
    store = await open();
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  test("revisions rise by one with each write, and only with those that were taken", async () => {
    expect(await store.put("/a", bytes("1"), 0)).toMatchObject({ ok: true, revision: 1 });
    expect(await store.put("/a", bytes("2"), 0)).toMatchObject({ ok: false, current: { modRevision: 1 } });
    expect(await store.put("/a", bytes("2"), 1)).toMatchObject({ ok: true, revision: 2 });
    expect(await store.delete("/a", 1)).toMatchObject({ ok: false, current: { modRevision: 2 } });
    expect(await store.delete("/a", 2)).toMatchObject({ ok: true, revision: 3 });
    expect(await store.delete("/a", 3)).toEqual({ ok: false, current: undefined });
    expect(await store.put("/a", bytes("3"), 0)).toMatchObject({ ok: true, revision: 4 });
    expect(await store.get("/a")).toMatchObject({ createRevision: 4, modRevision: 4 });
    expect(store.revision()).toBe(4);
  });

  test("of writers that race for one key exactly one wins each time", async () => {
    let expected = 0;
    for (let round = 0; round < 10; round += 1) {
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, at) => store.put("/a", bytes(`${round}.${at}`), expected)),
      );
      expect(results.filter(({ ok }) => ok)).toHaveLength(1);
      expected = (await store.get("/a"))?.modRevision ?? 0;
    }
    expect(store.revision()).toBe(10);
  });

  test("lists in order, by pages, at a revision of the past", async () => {
    for (const key of ["/b/2", "/a/1", "/b/1", "/b/3", "/c"]) await store.put(key, bytes(key), 0);
    await store.delete("/b/2", 1);
    await store.put("/b/1", bytes("new"), 3);
    const keys = async (options?: Parameters<Store["list"]>[1]): Promise<string[]> =>
      (await store.list("/b/", options)).items.map(({ key, value }) => `${key}=${text(value)}`);
    expect(await keys()).toEqual(["/b/1=new", "/b/3=/b/3"]);
    expect(await keys({ atRevision: 5 })).toEqual(["/b/1=/b/1", "/b/2=/b/2", "/b/3=/b/3"]);
    expect(await keys({ atRevision: 2 })).toEqual(["/b/2=/b/2"]);
    const first = await store.list("/b/", { limit: 2, atRevision: 5 });
    expect([first.items.length, first.more]).toEqual([2, true]);
    expect(await keys({ startAfter: "/b/2", atRevision: 5 })).toEqual(["/b/3=/b/3"]);
    expect(await store.count("/b/")).toBe(2);
    expect(text((await store.get("/b/1", 3))?.value)).toBe("/b/1");
    await expect(store.list("/b/", { atRevision: 99 })).rejects.toThrow(FutureRevisionError);
  });

  test("a watch tells history first, then what happens, once and in order, with what was there before", async () => {
    await store.put("/a/1", bytes("1"), 0);
    await store.put("/b/1", bytes("x"), 0);
    await store.put("/a/1", bytes("2"), 1);
    const all = watch(store, "/a/", 0);
    const later = watch(store, "/a/", 2);
    await all.reached(2);
    await store.delete("/a/1", 3);
    await store.put("/a/2", bytes("3"), 0);
    await all.reached(4);
    await later.reached(3);
    expect(plain(all.events)).toEqual(["1 put /a/1=1", "3 put /a/1=2", "4 delete /a/1", "5 put /a/2=3"]);
    expect(plain(later.events)).toEqual(["3 put /a/1=2", "4 delete /a/1", "5 put /a/2=3"]);
    expect(all.events.map(({ previous }) => text(previous?.value))).toEqual([undefined, "1", "2", undefined]);
    all.subscription.close();
    all.subscription.close();
    await store.put("/a/3", bytes("4"), 0);
    await later.reached(4);
    expect(all.events).toHaveLength(4);
  });

  test("watches that begin at any moment of a storm of writes miss nothing", async () => {
    const watches: { from: number; watched: Watched }[] = [];
    const writes: Promise<unknown>[] = [];
    for (let at = 0; at < 300; at += 1) {
      writes.push(store.put(`/k/${at % 50}/${at}`, bytes(String(at)), 0));
      if (at % 20 === 0) {
        const from = store.revision();
        watches.push({ from, watched: watch(store, "/k/", from) });
      }
      if (at % 7 === 0) await Promise.resolve();
      if (at % 60 === 0) await writes.at(-1);
    }
    await Promise.all(writes);
    for (const { from, watched } of watches) {
      await watched.reached(300 - from);
      expect(watched.events.map(({ revision }) => revision)).toEqual(
        Array.from({ length: 300 - from }, (_, at) => from + 1 + at),
      );
    }
  });

  test("what was compacted is refused, what is newer stays readable", async () => {
    await store.put("/a", bytes("1"), 0);
    await store.put("/a", bytes("2"), 1);
    await store.put("/b", bytes("x"), 0);
    await store.delete("/b", 3);
    await store.put("/a", bytes("3"), 2);
    await store.compact(3);
    expect(store.compactRevision()).toBe(3);
    await expect(store.list("/", { atRevision: 2 })).rejects.toThrow(CompactedError);
    expect((await store.list("/", { atRevision: 3 })).items.map(({ key, value }) => `${key}=${text(value)}`)).toEqual([
      "/a=2",
      "/b=x",
    ]);
    const old = watch(store, "/", 2);
    await old.reached(1);
    expect(old.ended?.error).toBeInstanceOf(CompactedError);
    const young = watch(store, "/", 3);
    await young.reached(2);
    expect(plain(young.events)).toEqual(["4 delete /b", "5 put /a=3"]);
    await expect(store.compact(99)).rejects.toThrow(FutureRevisionError);
  });

  test("closing ends watches and refuses writes", async () => {
    const watched = watch(store, "/", 0);
    await store.put("/a", bytes("1"), 0);
    await watched.reached(1);
    await store.close();
    expect(watched.ended).toBeDefined();
    await expect(store.put("/a", bytes("2"), 1)).rejects.toThrow("closed");
    store = await open();
  });
});

describe("SQLite over a restart", () => {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "store-"));
    store = await openSqliteStore({ directory: folder });
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const reopen = async (): Promise<void> => {
    await store.close();
    store = await openSqliteStore({ directory: folder });
  };

  test("values, revisions and history are as they were; no revision is used again", async () => {
    await store.put("/a", bytes("1"), 0);
    await store.put("/a", bytes("2"), 1);
    await store.put("/b", bytes("x"), 0);
    await store.delete("/b", 3);
    await reopen();
    expect(store.revision()).toBe(4);
    expect(await store.get("/a")).toMatchObject({ createRevision: 1, modRevision: 2 });
    const watched = watch(store, "/", 0);
    await watched.reached(4);
    expect(plain(watched.events)).toEqual(["1 put /a=1", "2 put /a=2", "3 put /b=x", "4 delete /b"]);
    await store.compact(4);
    await reopen();
    expect([store.revision(), store.compactRevision()]).toEqual([4, 4]);
    expect([text((await store.get("/a"))?.value), await store.get("/b")]).toEqual(["2", undefined]);
    expect(await store.put("/c", bytes("y"), 0)).toMatchObject({ ok: true, revision: 5 });
  });

  test("events from before the restart still tell what was there before them", async () => {
    await store.put("/b", bytes("1"), 0);
    await store.compact(1);
    await store.put("/a", bytes("1"), 0);
    await store.put("/b", bytes("2"), 1);
    await store.put("/a", bytes("2"), 2);
    await reopen();
    for (const from of [1, 2, 3]) {
      const watched = watch(store, "/", from);
      await watched.reached(4 - from);
      expect(watched.events.map(({ previous }) => text(previous?.value))).toEqual(
        [undefined, "1", "1"].slice(from - 1),
      );
    }
  });

  test("a compaction that closing cut short is finished by the next", async () => {
    for (let at = 0; at < 2000; at += 100)
      await Promise.all(
        Array.from({ length: 100 }, (_, n) => store.put(`/k/${n}`, bytes(`${at}`), at === 0 ? 0 : at - 99 + n)),
      );
    const compacting = store.compact(1500);
    await reopen();
    await compacting;
    expect(store.compactRevision()).toBe(1500);
    await store.compact(1900);
    expect((await store.list("/k/", { atRevision: 1900 })).items.map(({ value }) => text(value))).toEqual(
      Array.from({ length: 100 }, () => "1800"),
    );
    const watched = watch(store, "/k/", 1900);
    await watched.reached(100);
    expect(watched.events.every(({ previous }) => text(previous?.value) === "1800")).toBe(true);
  });

  test("a damaged file is refused by name and left as it is", async () => {
    await store.close();
    const broken = await mkdtemp(join(tmpdir(), "store-"));
    await writeFile(join(broken, "store.db"), "this is no database, and it is longer than a header of sixteen bytes");
    await expect(openSqliteStore({ directory: broken })).rejects.toMatchObject({ code: "STORE_DAMAGED" });
    await rm(broken, { recursive: true });
    store = await openSqliteStore({ directory: folder });
  });
});

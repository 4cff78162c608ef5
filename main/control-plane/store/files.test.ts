/** What becomes of the database file: copies of it, damage to it, and no room for it. */
import { mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { restoreSnapshot, saveSnapshot, snapshotStatus } from "./snapshot.ts";
import { openSqliteStore } from "./sqlite.ts";
import { CompactedError } from "./store.ts";
import type { Store } from "./store.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string => new TextDecoder().decode(value);

let folder: string;
const stores: Store[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "store-"));
});
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  await rm(folder, { recursive: true, force: true });
});

async function opened(name: string, mostBytes?: number): Promise<Store> {
  const store = await openSqliteStore({ directory: join(folder, name), ...(mostBytes ? { mostBytes } : {}) });
  stores.push(store);
  return store;
}

async function filled(name: string, keys: number): Promise<Store> {
  const store = await opened(name);
  await Promise.all(Array.from({ length: keys }, (_, at) => store.put(`/k/${at}`, bytes(`value ${at}`.repeat(20)), 0)));
  return store;
}

describe("a snapshot", () => {
  it("is what there was at one moment of a store that is written to all the while", async () => {
    const store = await filled("live", 200);
    let writing = true;
    const writer = (async () => {
      // Both are always the same: a copy of a moment between would show it.
      for (let at = 0; writing; at += 1) {
        const [a, b] = [await store.get("/a"), await store.get("/b")];
        await Promise.all([
          store.put("/a", bytes(String(at)), a?.modRevision ?? 0),
          store.put("/b", bytes(String(at)), b?.modRevision ?? 0),
        ]);
      }
    })();
    const file = join(folder, "copy.db");
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { revision, totalKey } = saveSnapshot(join(folder, "live"), file);
    writing = false;
    await writer;
    expect(totalKey).toBe(202);
    restoreSnapshot(file, join(folder, "restored"));
    const restored = await opened("restored");
    expect(text((await restored.get("/a"))?.value)).toBe(text((await restored.get("/b"))?.value));
    expect(text((await restored.get("/k/7"))?.value)).toBe("value 7".repeat(20));
    expect(revision).toBeGreaterThanOrEqual(202);
  });

  it("becomes a store whose revisions nobody has seen yet", async () => {
    const store = await filled("live", 3);
    const file = join(folder, "copy.db");
    saveSnapshot(join(folder, "live"), file);
    await store.put("/later", bytes("x"), 0);
    restoreSnapshot(file, join(folder, "restored"));
    const restored = await opened("restored");
    expect(restored.revision()).toBeGreaterThan(store.revision());
    const ended = Promise.withResolvers<Error | undefined>();
    restored.watch("/", 4, { events: () => undefined, end: ended.resolve });
    expect(await ended.promise).toBeInstanceOf(CompactedError);
    const from = restored.revision();
    expect(await restored.put("/k/1", bytes("new"), 2)).toMatchObject({ ok: true, revision: from + 1 });
    await restored.compact(from + 1);
    expect(await restored.count("/")).toBe(3);
  });

  it("is refused where there is a store or a file already, and when it is none", async () => {
    await filled("live", 3);
    const file = join(folder, "copy.db");
    const live = join(folder, "live");
    saveSnapshot(live, file);
    expect(() => saveSnapshot(live, file)).toThrow("there already");
    expect(() => restoreSnapshot(file, live)).toThrow("there already");
    expect(() => saveSnapshot(join(folder, "none"), join(folder, "other.db"))).toThrow("not there");
    await writeFile(join(folder, "text"), "no snapshot, but long enough to be looked at as a database might be");
    expect(() => restoreSnapshot(join(folder, "text"), join(folder, "new"))).toThrow("damaged");
    await expect(stat(join(folder, "new", "store.db"))).rejects.toThrow("ENOENT");
  });
});

describe("a damaged file", () => {
  it("is refused by name where a page of it is broken, and left as it is", async () => {
    const store = await filled("broken", 3000);
    await store.close();
    stores.length = 0;
    const file = join(folder, "broken", "store.db");
    const handle = await open(file, "r+");
    const { size } = await handle.stat();
    for (let at = 16 * 4096; at < size; at += 4096) await handle.write(Buffer.alloc(512, 0xa5), 0, 512, at);
    await handle.close();
    const before = await readFile(file);
    await expect(openSqliteStore({ directory: join(folder, "broken") })).rejects.toMatchObject({
      code: "STORE_DAMAGED",
    });
    expect((await readFile(file)).equals(before)).toBe(true);
    expect(() => snapshotStatus(file)).toThrow("damaged");
  });
});

describe("a full disk", () => {
  it("refuses writes by name, loses none that was acknowledged, and takes writes again when there is room", async () => {
    const store = await opened("small", 400 * 1024);
    const taken: string[] = [];
    let full: unknown;
    for (let at = 0; full === undefined && at < 1000; at += 1) {
      await store.put(`/k/${at}`, Buffer.alloc(4096, at), 0).then(
        () => taken.push(`/k/${at}`),
        (error: unknown) => (full = error),
      );
    }
    expect(full).toMatchObject({ code: "STORE_FULL" });
    expect(taken.length).toBeGreaterThan(10);
    expect(await store.count("/k/")).toBe(taken.length);
    const revision = store.revision();
    // Room is made as an administrator would: what is not needed goes, and history with it.
    const [first = "", second = ""] = taken;
    const compacting = Promise.all(
      [first, second].map(async (key) => store.delete(key, (await store.get(key))?.modRevision ?? 0)),
    );
    await compacting;
    await store.compact(store.revision());
    expect(await store.put("/again", Buffer.alloc(1024), 0)).toMatchObject({ ok: true, revision: revision + 3 });
    await store.close();
    stores.length = 0;
    const again = await opened("small");
    expect(await again.count("/k/")).toBe(taken.length - 2);
  });
});

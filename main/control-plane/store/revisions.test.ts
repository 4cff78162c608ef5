/** What happens between a question to the journal and its answer: commits and readings of the log held up by hand. */
import { expect, test } from "vitest";
import { RevisionStore } from "./revisions.ts";
import type { Journal, Mutation } from "./revisions.ts";
import type { StoreEvent } from "./store.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A journal whose next answers wait while `hold` is set. */
class SlowJournal implements Journal {
  log: Mutation[] = [];
  hold: "commit" | "history" | undefined;
  private readonly held: (() => void)[] = [];

  async commit(batch: Mutation[]): Promise<void> {
    await this.pause("commit");
    this.log.push(...batch);
  }
  async history(from: number, to: number): Promise<Mutation[]> {
    const answer = this.log.filter(({ revision }) => revision > from && revision <= to);
    await this.pause("history");
    return answer;
  }
  compact(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Lets the oldest held answer go. */
  release(): void {
    this.held.shift()?.();
  }
  private pause(call: "commit" | "history"): Promise<void> {
    return this.hold === call ? new Promise((resolve) => this.held.push(resolve)) : Promise.resolve();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

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
  return new RevisionStore(journal, { revision: 3, compactRevision: 0, current, recent: [] });
}

test("a refused writer waits for the write it lost against, not for all that follow", async () => {
  const journal = new SlowJournal();
  const store = restarted(journal);
  journal.hold = "commit";
  const won = store.put("/a", bytes("1"), 1);
  const lost = store.put("/a", bytes("2"), 1);
  await turn();
  const next = store.put("/other", bytes("x"), 0);
  journal.release();
  expect(await won).toMatchObject({ ok: true, revision: 4 });
  expect(await lost).toMatchObject({ ok: false, current: { modRevision: 4 } });
  expect(store.revision()).toBe(4);
  journal.release();
  expect(await next).toMatchObject({ ok: true, revision: 5 });
});

test("a page of the past shows nothing of what is written while the log is read", async () => {
  const journal = new SlowJournal();
  const store = restarted(journal);
  journal.hold = "history";
  const page = store.list("/", { atRevision: 2 });
  await Promise.all([store.put("/a", bytes("new"), 1), store.put("/9", bytes("new"), 0), store.delete("/b", 2)]);
  journal.release();
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
  journal.release();
  while (seen.length < writes + 2) {
    const before = seen.length;
    await turn();
    if (seen.length === before) break;
  }
  expect(seen).toHaveLength(writes + 2);
  expect(seen.every(({ revision }, at) => revision === at + 2)).toBe(true);
});

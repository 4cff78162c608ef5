/** Lists and watches as clients page, resume and select them: over changes, over compaction, from any revision. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import { builtinResources } from "../../resources/index.ts";
import type { ResourceDefinition } from "../../resources/definition.ts";
import { openMemoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { Catalog, keyOf } from "../catalog.ts";
import { encodeStored } from "../stored.ts";
import type { RegistryContext } from "./context.ts";
import { addIndexes } from "./indexes.ts";
import { listObjects } from "./read.ts";
import type { ListQuery, Page } from "./read.ts";
import { watchObjects } from "./watch.ts";
import type { WatchItem, WatchQuery } from "./watch.ts";

const catalog = new Catalog(builtinResources());
const pods = catalog.find("", "v1", "pods") as ResourceDefinition;
const events = catalog.find("", "v1", "events") as ResourceDefinition;
const modernEvents = catalog.find("events.k8s.io", "v1", "events") as ResourceDefinition;

let store: Store;
let context: RegistryContext;
const stops: (() => void)[] = [];

beforeEach(() => {
  store = openMemoryStore();
  const admission = { mutate: () => Promise.resolve(), validate: () => Promise.resolve() };
  context = { store, admission, now: () => new Date() };
});
afterEach(async () => {
  vi.useRealTimers();
  for (const stop of stops.splice(0)) stop();
  await store.close();
});

interface Wanted {
  labels?: Record<string, string>;
  node?: string;
  namespace?: string;
}

async function put(name: string, { labels = {}, node = "", namespace = "a" }: Wanted = {}): Promise<number> {
  const object: KubeObject = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels, managedFields: [{ manager: "m" }] },
    spec: { nodeName: node },
  };
  const key = keyOf(pods, namespace, name);
  const result = await store.put(key, encodeStored(object), (await store.get(key))?.modRevision ?? 0);
  return result.ok ? result.revision : 0;
}

async function remove(name: string): Promise<void> {
  const key = keyOf(pods, "a", name);
  await store.delete(key, (await store.get(key))?.modRevision ?? 0);
}

const list = (query: ListQuery, namespace: string | undefined = "a"): Promise<Page> =>
  listObjects(context, pods, namespace, query);
const names = ({ items }: Page): string[] => items.map(({ key }) => key.split("/").at(-1) ?? "");

async function refusal(asked: Promise<unknown>): Promise<StatusError> {
  const error: unknown = await asked.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StatusError);
  return error as StatusError;
}

describe("pages", () => {
  beforeEach(async () => {
    for (const name of ["a", "b", "c", "d", "e"]) await put(name);
  });

  it("show one snapshot, whatever is written between them", async () => {
    const first = await list({ limit: 2 });
    expect([names(first), first.revision, first.remainingItemCount]).toEqual([["a", "b"], 5, 3]);
    await remove("c");
    await put("bb");
    await put("d", { labels: { changed: "yes" } });
    const second = await list({ limit: 2, continue: first.continue });
    expect([names(second), second.revision]).toEqual([["c", "d"], 5]);
    expect(second.items[1]?.modRevision).toBe(4);
    const third = await list({ limit: 2, continue: second.continue });
    expect([names(third), third.revision, third.continue]).toEqual([["e"], 5, undefined]);
    expect(names(await list({}))).toEqual(["a", "b", "bb", "d", "e"]);
  });

  it("go on inconsistently after compaction, by the token of the refusal", async () => {
    const first = await list({ limit: 2 });
    await remove("c");
    await put("z");
    await store.compact(store.revision());
    const error = await refusal(list({ limit: 2, continue: first.continue }));
    expect([error.code, error.reason]).toEqual([410, "Expired"]);
    const token = (error.status.metadata as { continue?: string }).continue;
    const second = await list({ limit: 2, continue: token });
    expect([names(second), second.revision]).toEqual([["d", "e"], 7]);
    // From here on it is a snapshot again.
    await put("f");
    expect(names(await list({ limit: 2, continue: second.continue }))).toEqual(["z"]);
  });

  it("tell what remains only where nothing is selected", async () => {
    await put("x", { labels: { l: "1" } });
    await put("y", { labels: { l: "1" } });
    const page = await list({ limit: 1, labelSelector: "l=1" });
    expect([names(page), page.remainingItemCount, page.continue !== undefined]).toEqual([["x"], undefined, true]);
    expect(names(await list({ limit: 1, labelSelector: "l=1", continue: page.continue }))).toEqual(["y"]);
    const last = await list({ limit: 10 });
    expect([last.continue, last.remainingItemCount]).toEqual([undefined, undefined]);
  });

  it("refuse tokens that are none, and options that contradict each other", async () => {
    const { continue: token } = await list({ limit: 1 });
    expect((await refusal(list({ continue: "x" }))).code).toBe(400);
    expect((await refusal(list({ continue: token, resourceVersion: "3" }))).message).toContain("not allowed");
    expect(names(await list({ continue: token, resourceVersion: "0" }))).toEqual(["b", "c", "d", "e"]);
    const refused: [ListQuery, string][] = [
      [{ resourceVersionMatch: "Exact" }, "unless resourceVersion is provided"],
      [{ resourceVersionMatch: "Exact", resourceVersion: "0" }, '"exact" is forbidden for resourceVersion "0"'],
      [{ resourceVersionMatch: "Nearly", resourceVersion: "1" }, 'Unsupported value: "Nearly"'],
      [{ resourceVersionMatch: "Exact", resourceVersion: "1", continue: token }, "when continue is provided"],
      [{ sendInitialEvents: true }, "sendInitialEvents is forbidden for list"],
      [{ resourceVersion: "-1" }, "invalid syntax"],
    ];
    for (const [query, words] of refused) {
      const error = await refusal(list(query));
      expect([error.code, error.message]).toEqual([422, expect.stringContaining(words)]);
    }
  });
});

describe("resourceVersion", () => {
  it("asks for exactly that, for that or newer, or for any", async () => {
    await put("a");
    await put("b");
    await put("c");
    const at = async (query: ListQuery): Promise<[string[], number]> => {
      const page = await list(query);
      return [names(page), page.revision];
    };
    expect(await at({ resourceVersion: "2", resourceVersionMatch: "Exact" })).toEqual([["a", "b"], 2]);
    expect(await at({ resourceVersion: "2", resourceVersionMatch: "NotOlderThan" })).toEqual([["a", "b", "c"], 3]);
    expect(await at({ resourceVersion: "2" })).toEqual([["a", "b", "c"], 3]);
    expect(await at({ resourceVersion: "2", limit: 5 })).toEqual([["a", "b"], 2]);
    expect(await at({ resourceVersion: "0", limit: 5 })).toEqual([["a", "b", "c"], 3]);
    expect(await at({ resourceVersion: "0", resourceVersionMatch: "NotOlderThan" })).toEqual([["a", "b", "c"], 3]);
    await store.compact(3);
    const gone = await refusal(list({ resourceVersion: "2", resourceVersionMatch: "Exact" }));
    expect([gone.code, gone.reason]).toEqual([410, "Expired"]);
  });

  it("of the future is waited for, and then refused with when to ask again", async () => {
    await put("a");
    const early = list({ resourceVersion: "2", resourceVersionMatch: "NotOlderThan" });
    await put("b");
    expect(names(await early)).toEqual(["a", "b"]);
    vi.useFakeTimers();
    const asked = refusal(list({ resourceVersion: "9" }));
    await vi.advanceTimersByTimeAsync(3500);
    const error = await asked;
    expect([error.code, error.message]).toEqual([504, "Timeout: Too large resource version: 9, current: 2"]);
    expect(error.status.details).toMatchObject({
      retryAfterSeconds: 1,
      causes: [{ reason: "ResourceVersionTooLarge" }],
    });
  });
});

interface Watched {
  items: WatchItem[];
  ended: StatusError | undefined | "no";
}

async function watch(query: WatchQuery, definition = pods, namespace: string | undefined = "a"): Promise<Watched> {
  const watched: Watched = { items: [], ended: "no" };
  const stop = await watchObjects(context, definition, namespace, query, {
    send: (items) => watched.items.push(...items),
    end: (error) => (watched.ended = error),
  });
  stops.push(stop);
  return watched;
}

const turns = async (): Promise<void> => {
  for (let at = 0; at < 5; at += 1) await new Promise((resolve) => setImmediate(resolve));
};

const told = ({ items }: Watched): string[] =>
  items.map((item) =>
    item.type === "BOOKMARK"
      ? `BOOKMARK ${item.revision}${item.initialEventsEnd ? " end" : ""}`
      : `${item.type} ${item.item.key.split("/").at(-1)} ${item.revision}`,
  );

describe("watches", () => {
  it("begin with what there is, mark its end, and go on without a gap", async () => {
    await put("a");
    await put("b");
    const initial = await watch({
      sendInitialEvents: true,
      resourceVersionMatch: "NotOlderThan",
      allowWatchBookmarks: true,
    });
    const plain = await watch({});
    const later = await watch({ resourceVersion: "1" });
    const fresh = await watch({ sendInitialEvents: false, resourceVersionMatch: "NotOlderThan", resourceVersion: "0" });
    await turns();
    await put("c");
    await remove("a");
    await turns();
    const live = ["ADDED c 3", "DELETED a 4"];
    expect(told(initial)).toEqual(["ADDED a 1", "ADDED b 2", "BOOKMARK 2 end", ...live]);
    expect(told(plain)).toEqual(["ADDED a 1", "ADDED b 2", ...live]);
    expect(told(later)).toEqual(["ADDED b 2", ...live]);
    expect(told(fresh)).toEqual(live);
  });

  it("begin with more than is told at once, while it changes", async () => {
    for (let at = 0; at < 600; at += 1) await put(`p-${String(at).padStart(3, "0")}`);
    const watched = await watch({
      sendInitialEvents: true,
      resourceVersionMatch: "NotOlderThan",
      allowWatchBookmarks: true,
    });
    await put("p-599", { labels: { late: "yes" } });
    await turns();
    await turns();
    expect(watched.items).toHaveLength(602);
    expect(told(watched).slice(-3)).toEqual(["ADDED p-599 600", "BOOKMARK 600 end", "MODIFIED p-599 601"]);
  });

  it("are refused from what was compacted, in the stream, and from the future, at once", async () => {
    await put("a");
    await put("b");
    await store.compact(2);
    const old = await watch({ resourceVersion: "1" });
    await turns();
    expect(old.ended).toMatchObject({ status: { code: 410, reason: "Expired" } });
    vi.useFakeTimers();
    const asked = refusal(watch({ resourceVersion: "7" }));
    await vi.advanceTimersByTimeAsync(3500);
    expect((await asked).code).toBe(504);
    for (const query of [
      { sendInitialEvents: true },
      { resourceVersionMatch: "NotOlderThan", resourceVersion: "1" },
      { sendInitialEvents: true, resourceVersionMatch: "Exact", resourceVersion: "1" },
    ])
      expect((await refusal(watch(query))).code).toBe(422);
  });

  it("send bookmarks only where they are wanted, and end after their time", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
    await put("a");
    const wanted = await watch({ resourceVersion: "1", allowWatchBookmarks: true, timeoutSeconds: 70 });
    const unwanted = await watch({ resourceVersion: "1", timeoutSeconds: 70 });
    const endless = await watch({ resourceVersion: "1", timeoutSeconds: 1e99 });
    await put("other", { namespace: "b" });
    await turns();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([told(wanted), told(unwanted)]).toEqual([["BOOKMARK 2"], []]);
    expect(wanted.ended).toBe("no");
    await vi.advanceTimersByTimeAsync(11_000);
    expect([wanted.ended, unwanted.ended, endless.ended]).toEqual([undefined, undefined, "no"]);
  });

  it("show what comes into a selection, changes in it and leaves it, by every kind of selector", async () => {
    await addIndexes(store, catalog);
    await put("a", { node: "n1", labels: { app: "x" } });
    await put("b", { node: "n2", labels: { app: "y" } });
    const by: Record<string, WatchQuery> = {
      node: { fieldSelector: "spec.nodeName=n1" },
      "another node": { fieldSelector: "spec.nodeName!=n1" },
      label: { labelSelector: "app=x" },
      set: { labelSelector: "app in (x)" },
      both: { fieldSelector: "spec.nodeName=n1", labelSelector: "app=x" },
      name: { fieldSelector: "metadata.name=b" },
    };
    const watched = new Map<string, Watched>();
    for (const [name, query] of Object.entries(by)) watched.set(name, await watch({ ...query, resourceVersion: "2" }));
    await turns();
    await put("b", { node: "n1", labels: { app: "y" } });
    await put("b", { node: "n1", labels: { app: "x" } });
    await put("a", { node: "n2", labels: { app: "x" } });
    await remove("b");
    await turns();
    expect(Object.fromEntries([...watched].map(([name, one]) => [name, told(one)]))).toEqual({
      node: ["ADDED b 3", "MODIFIED b 4", "DELETED a 5", "DELETED b 6"],
      "another node": ["DELETED b 3", "ADDED a 5"],
      label: ["ADDED b 4", "MODIFIED a 5", "DELETED b 6"],
      set: ["ADDED b 4", "MODIFIED a 5", "DELETED b 6"],
      both: ["ADDED b 4", "DELETED a 5", "DELETED b 6"],
      name: ["MODIFIED b 3", "MODIFIED b 4", "DELETED b 6"],
    });
    const found = async (query: ListQuery, namespace?: string): Promise<string[]> =>
      names(await listObjects(context, pods, namespace, query));
    expect(await found({ fieldSelector: "spec.nodeName=n2" })).toEqual(["a"]);
    expect(await found({ fieldSelector: "spec.nodeName=n2" }, "b")).toEqual([]);
    expect(
      await found({ fieldSelector: "spec.nodeName=n1", resourceVersion: "4", resourceVersionMatch: "Exact" }),
    ).toEqual(["a", "b"]);
    expect(await found({ fieldSelector: "status.phase=" })).toEqual(["a"]);
    expect(await found({ labelSelector: "app=x" })).toEqual(["a"]);
    expect(await found({ labelSelector: "app=x", resourceVersion: "4", resourceVersionMatch: "Exact" })).toEqual([
      "a",
      "b",
    ]);
    expect(await found({ labelSelector: "app in (x,y),app!=y" })).toEqual(["a"]);
    expect(await found({ labelSelector: "app=y" })).toEqual([]);
    expect((await refusal(list({ fieldSelector: "spec.nothing=1" }))).message).toBe(
      "field label not supported: spec.nothing",
    );
  });

  it("of Events find them by what they are about, under both their names", async () => {
    await addIndexes(store, catalog);
    const event = (name: string, uid: string): Promise<unknown> =>
      store.put(
        keyOf(events, "a", name),
        encodeStored({
          apiVersion: "v1",
          kind: "Event",
          metadata: { name, namespace: "a" },
          involvedObject: { kind: "Pod", name: "p", uid },
        } as KubeObject),
        0,
      );
    await event("e1", "u1");
    const core = await watch({ fieldSelector: "involvedObject.uid=u2", resourceVersion: "1" }, events);
    const modern = await watch(
      { fieldSelector: "regarding.name=p,regarding.kind=Pod", resourceVersion: "1" },
      modernEvents,
    );
    await turns();
    await event("e2", "u2");
    await event("e3", "u3");
    await turns();
    expect(told(core)).toEqual(["ADDED e2 2"]);
    expect(told(modern)).toEqual(["ADDED e2 2", "ADDED e3 3"]);
    const found = await listObjects(context, events, "a", {
      fieldSelector: "involvedObject.uid=u2,involvedObject.kind=Pod",
    });
    expect(names(found)).toEqual(["e2"]);
    expect(names(await listObjects(context, modernEvents, "a", { fieldSelector: "regarding.uid=u3" }))).toEqual(["e3"]);
  });
});

/** Live collections against a scripted API server: paging, events, expiry, and a server that goes away. */
import { afterEach, describe, expect, it } from "vitest";
import { StatusError } from "../../common/kube/status.ts";
import { eventually } from "../testing/in-memory.ts";
import type { KubeApi } from "./api.ts";
import { decodePage, watchLive, type Live } from "./live.ts";

let live: Live | undefined;
afterEach(() => live?.dispose());

const pod = (name: string, resourceVersion: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, uid: name, resourceVersion },
});
const event = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`;

/** Watches are answered from a queue; an empty queue keeps the watch open. */
function scripted(pages: Record<string, unknown>[], watches: (string[] | Error)[]) {
  const paths: string[] = [];
  const api: KubeApi = {
    cluster: "test",
    request: () => Promise.reject(new Error("not asked for here")),
    json: <T>(path: string) => {
      paths.push(path);
      const page = pages.length > 1 ? pages.shift() : pages[0];
      return Promise.resolve(page as T);
    },
    async *stream(path, { signal } = {}) {
      paths.push(path);
      const next = watches.shift();
      if (next instanceof Error) throw next;
      yield* next ?? [];
      if (next === undefined || watches.length === 0)
        await new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve()));
    },
  };
  return { api, paths };
}
const list = (resourceVersion: string, names: string[], token?: string) => ({
  apiVersion: "v1",
  kind: "PodList",
  metadata: { resourceVersion, ...(token && { continue: token }) },
  items: names.map((name) => pod(name, "1")),
});
const names = (): string[] => (live?.state.rows ?? []).map((row) => row.object.metadata.name ?? "");

describe("a live collection", () => {
  it("reads all pages, then follows from the version of the list", async () => {
    const { api, paths } = scripted(
      [list("7", ["a"], "more"), list("7", ["b"])],
      [[event("ADDED", pod("c", "8")), event("DELETED", pod("a", "9"))]],
    );
    live = watchLive(api, { path: "/api/v1/pods", table: "none" });
    await eventually("b and c are there", () => names().join() === "b,c");
    expect(live.state.phase).toBe("live");
    expect(paths[1]).toContain("continue=more");
    expect(paths[2]).toContain("resourceVersion=7");
  });

  it("goes on from the last event when the server ends the watch, a bookmark included", async () => {
    const { api, paths } = scripted(
      [list("7", ["a"])],
      [[event("BOOKMARK", { apiVersion: "v1", kind: "Pod", metadata: { resourceVersion: "42" } })], []],
    );
    live = watchLive(api, { path: "/api/v1/pods", table: "none" });
    await eventually("a second watch", () => paths.filter((path) => path.includes("watch=true")).length === 2);
    expect(paths.at(-1)).toContain("resourceVersion=42");
    expect(names()).toEqual(["a"]);
  });

  it("lists again when the version is too old", async () => {
    const expired = event("ERROR", {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      reason: "Expired",
      code: 410,
      message: "too old",
    });
    const { api } = scripted([list("7", ["a"]), list("90", ["z"])], [[expired], []]);
    live = watchLive(api, { path: "/api/v1/pods", table: "none" });
    await eventually("the new list", () => names().join() === "z");
    expect(live.state.error).toBeUndefined();
  });

  it("keeps what it knew while the server is away, says so, and recovers", async () => {
    const { api } = scripted(
      [list("7", ["a"]), list("8", ["a", "b"])],
      [new StatusError("ServiceUnavailable", "away"), []],
    );
    live = watchLive(api, { path: "/api/v1/pods", table: "none" });
    await eventually("it says it is away", () => live?.state.phase === "away");
    expect(names()).toEqual(["a"]);
    await eventually("it is back", () => live?.state.phase === "live" && names().join() === "a,b");
  });
});

describe("decoding", () => {
  it("reads Tables, whose columns may be left out of events", () => {
    const page = decodePage({
      kind: "Table",
      apiVersion: "meta.k8s.io/v1",
      metadata: {},
      rows: [
        {
          cells: ["a", 1],
          object: {
            kind: "PartialObjectMetadata",
            apiVersion: "meta.k8s.io/v1",
            metadata: { name: "a", uid: "u", resourceVersion: "12" },
          },
        },
      ],
    });
    expect(page).toMatchObject({ resourceVersion: "12", rows: [{ id: "u", cells: ["a", 1] }] });
    expect(page.columns).toBeUndefined();
  });
  it("gives list items the kind their list leaves out", () => {
    const page = decodePage({
      apiVersion: "v1",
      kind: "PodList",
      metadata: {},
      items: [{ metadata: { name: "a" } }],
    } as never);
    expect(page.rows[0]?.object).toMatchObject({ apiVersion: "v1", kind: "Pod" });
  });
});

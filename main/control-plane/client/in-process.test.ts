/** The registry's promises, asked for through the client that controllers use, on a store in memory. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { KubeObject, WatchEvent } from "../../../common/kube/object.ts";
import { isStatus } from "../../../common/kube/status.ts";
import { Catalog } from "../api/catalog.ts";
import type { RegistryContext } from "../api/registry/context.ts";
import { builtinResources } from "../resources/index.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { InProcessClient } from "./in-process.ts";

const deployments = { group: "apps", version: "v1", resource: "deployments", namespace: "a" };
const configMaps = { group: "", version: "v1", resource: "configmaps", namespace: "a" };
const pods = { group: "", version: "v1", resource: "pods", namespace: "a" };

let store: Store;
let client: InProcessClient;

beforeEach(() => {
  store = openMemoryStore();
  const registry: RegistryContext = {
    store,
    admission: { mutate: () => Promise.resolve(), validate: () => Promise.resolve() },
    now: () => new Date("2026-01-01T00:00:00Z"),
  };
  const user = { name: "tester", groups: ["system:masters"] };
  client = new InProcessClient({ catalog: new Catalog(builtinResources()), registry, user });
});

afterEach(() => store.close());

const map = (name: string, data: Record<string, string> = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data,
});

const deployment = (): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: {
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "i" }] } },
  },
});

const pod = (): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p" },
  spec: { containers: [{ name: "c", image: "i" }] },
});

describe("creating", () => {
  it("updates what somebody made in between, where an update may create", async () => {
    const lease = (holderIdentity: string): KubeObject => ({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "node" },
      spec: { holderIdentity },
    });
    const ref = { group: "coordination.k8s.io", version: "v1", resource: "leases", namespace: "a", name: "node" };
    await Promise.all(["a", "b", "c"].map((holder) => client.update(ref, lease(holder))));
    const applied = ["x", "y"].map((key) =>
      client.patch({ ...configMaps, name: "both" }, "application/apply-patch+yaml", map("both", { [key]: "1" }), {
        fieldManager: key,
      }),
    );
    await Promise.all(applied);
    expect((await client.get({ ...configMaps, name: "both" }))["data"]).toEqual({ x: "1", y: "1" });
    expect((await client.get(ref))["spec"]).toMatchObject({ holderIdentity: expect.any(String) as string });
  });

  it("fills in what the server owns, and the defaults", async () => {
    const made = await client.create({ ...deployments, name: "web" }, { ...deployment(), status: { replicas: 9 } });
    expect(made.metadata).toMatchObject({
      namespace: "a",
      generation: 1,
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00Z",
    });
    expect(made["spec"]).toMatchObject({ replicas: 1, strategy: { type: "RollingUpdate" } });
    expect(made["status"]).toEqual({});
  });

  it("makes names, and refuses a taken one", async () => {
    const named = await client.create({ ...configMaps, name: "" }, { ...map(""), metadata: { generateName: "x-" } });
    expect(named.metadata.name).toMatch(/^x-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    await client.create({ ...configMaps, name: "b" }, map("b"));
    await expect(client.create({ ...configMaps, name: "b" }, map("b"))).rejects.toThrow(
      'configmaps "b" already exists',
    );
  });

  it("stores nothing that is invalid or only tried", async () => {
    await expect(client.create({ ...configMaps, name: "B_" }, map("B_"))).rejects.toSatisfy((error) =>
      isStatus(error, "Invalid"),
    );
    await client.create({ ...configMaps, name: "tried" }, map("tried"), { dryRun: true });
    expect((await client.list(configMaps)).items).toEqual([]);
    expect(store.revision()).toBe(0);
  });
});

describe("updating", () => {
  it("refuses a stale version, and writes nothing when nothing changed", async () => {
    const ref = { ...configMaps, name: "b" };
    const first = await client.create(ref, map("b", { x: "1" }));
    expect((await client.update(ref, first)).metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    await client.update(ref, { ...first, data: { x: "2" } });
    await expect(client.update(ref, { ...first, data: { x: "3" } })).rejects.toThrow(
      /Operation cannot be fulfilled on configmaps "b": the object has been modified/,
    );
    expect((await client.get(ref))["data"]).toEqual({ x: "2" });
  });

  it("keeps spec and status apart, and counts spec's changes", async () => {
    const ref = { ...deployments, name: "web" };
    const made = await client.create(ref, deployment());
    const spec = { ...(made["spec"] as object), replicas: 3 };
    const scaled = await client.update(ref, { ...made, spec, status: { replicas: 7 } });
    expect(scaled.metadata.generation).toBe(2);
    expect(scaled["status"]).toEqual({});
    const status = await client.update(
      { ...ref, subresource: "status" },
      { ...scaled, spec: {}, status: { replicas: 3 } },
    );
    expect(status["spec"]).toMatchObject({ replicas: 3 });
    expect(status["status"]).toMatchObject({ replicas: 3 });
    expect(status.metadata.generation).toBe(2);
  });

  it("shows and changes the scale", async () => {
    const ref = { ...deployments, name: "web" };
    await client.create(ref, deployment());
    const scale = await client.get({ ...ref, subresource: "scale" });
    expect(scale).toMatchObject({ kind: "Scale", spec: { replicas: 1 } });
    await client.update({ ...ref, subresource: "scale" }, { ...scale, spec: { replicas: 4 } });
    expect(await client.get(ref)).toMatchObject({ spec: { replicas: 4 }, metadata: { generation: 2 } });
  });

  it("lets patches of many writers all win", async () => {
    const ref = { ...configMaps, name: "b" };
    await client.create(ref, map("b"));
    const keys = Array.from({ length: 8 }, (_, at) => `k${at}`);
    await Promise.all(keys.map((key) => client.patch(ref, "application/merge-patch+json", { data: { [key]: "x" } })));
    expect(Object.keys((await client.get(ref))["data"] as object).toSorted()).toEqual(keys);
  });

  it("binds a Pod once", async () => {
    await client.create({ ...pods, name: "p" }, pod());
    const ref = { ...pods, name: "p", subresource: "binding" };
    const binding = { apiVersion: "v1", kind: "Binding", metadata: { name: "p" }, target: { kind: "Node", name: "n" } };
    await client.create(ref, binding);
    expect(await client.get({ ...pods, name: "p" })).toMatchObject({ spec: { nodeName: "n" } });
    await expect(client.create(ref, binding)).rejects.toSatisfy((error) => isStatus(error, "Conflict"));
  });
});

describe("deleting", () => {
  it("waits for finalizers, then goes with the last", async () => {
    const ref = { ...configMaps, name: "held" };
    await client.create(ref, { ...map("held"), metadata: { name: "held", finalizers: ["example.com/hold"] } });
    const waiting = await client.delete(ref);
    expect(waiting?.metadata.deletionTimestamp).toBe("2026-01-01T00:00:00Z");
    await client.patch(ref, "application/merge-patch+json", { metadata: { finalizers: null } });
    await expect(client.get(ref)).rejects.toSatisfy((error) => isStatus(error, "NotFound"));
  });

  it("heeds preconditions", async () => {
    const ref = { ...configMaps, name: "b" };
    await client.create(ref, map("b"));
    await expect(client.delete(ref, { preconditions: { uid: "other" } })).rejects.toThrow(/Precondition failed: UID/);
    expect(await client.delete(ref)).toBeUndefined();
  });
});

describe("watching", () => {
  it("shows all that happened after a list, once and in order", async () => {
    await client.create({ ...configMaps, name: "old" }, map("old"));
    const { metadata } = await client.list(configMaps);
    const leave = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      const { resourceVersion = "" } = metadata;
      for await (const { type, object } of client.watch(configMaps, { resourceVersion, signal: leave.signal })) {
        seen.push(`${type} ${object.metadata.name}`);
        if (seen.length === 3) leave.abort();
      }
    })();
    const ref = { ...configMaps, name: "b" };
    await client.create(ref, map("b"));
    await client.patch(ref, "application/merge-patch+json", { data: { x: "1" } });
    await client.delete(ref);
    await watching;
    expect(seen).toEqual(["ADDED b", "MODIFIED b", "DELETED b"]);
  });

  it("begins with what there is, and says where the beginning ends", async () => {
    await client.create({ ...configMaps, name: "old" }, map("old"));
    const seen: WatchEvent[] = [];
    for await (const event of client.watch(configMaps, { sendInitialEvents: true, allowWatchBookmarks: true })) {
      seen.push(event);
      if (event.type === "BOOKMARK") break;
    }
    expect(seen.map(({ type }) => type)).toEqual(["ADDED", "BOOKMARK"]);
    expect(seen[1]?.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" });
  });

  it("says that the past is gone after compaction", async () => {
    for (const name of ["a", "b", "c"]) await client.create({ ...configMaps, name }, map(name));
    await store.compact(2);
    const watching = async (): Promise<void> => {
      for await (const _ of client.watch(configMaps, { resourceVersion: "1" })) expect.unreachable();
    };
    await expect(watching()).rejects.toSatisfy((error) => isStatus(error, "Expired"));
  });
});

it("lets others in between the steps of work on a large object", async () => {
  /** Turns of the event loop that a change takes. */
  const turnsOf = async (name: string, keys: number): Promise<number> => {
    const data = Object.fromEntries(Array.from({ length: keys }, (_, at) => [`key-${at}`, "value"]));
    await client.create({ ...configMaps, name }, map(name, data));
    let turns = 0;
    let over = false;
    const count = (): void => {
      turns += 1;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    await client.patch({ ...configMaps, name }, "application/merge-patch+json", { data: { "key-0": "other" } });
    over = true;
    return turns;
  };
  expect(await turnsOf("large", 10_000)).toBeGreaterThanOrEqual((await turnsOf("small", 1)) + 4);
});

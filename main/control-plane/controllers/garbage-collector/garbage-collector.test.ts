import { afterEach, beforeEach, expect, test } from "vitest";
import type { KubeObject, OwnerReference } from "../../../../common/kube/object.ts";
import { TestCluster } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";
import type { Kind } from "../kernel/kinds.ts";
import { judge } from "./graph.ts";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = new TestCluster({ controllers: ["garbage-collector-controller"] });
  cluster.start();
  await cluster.clock.settle();
});
afterEach(() => cluster.stop());

function owned(kind: Kind, by: KubeObject, extra: Partial<OwnerReference> = {}): OwnerReference {
  return {
    apiVersion: kind.group === "" ? "v1" : `${kind.group}/v1`,
    kind: kind.kind,
    name: by.metadata.name ?? "",
    uid: by.metadata.uid ?? "",
    ...extra,
  };
}

async function make(kind: Kind, name: string, ownerReferences: OwnerReference[] = []): Promise<KubeObject> {
  const made = await cluster.create<KubeObject>(kind, {
    metadata: { name, ...(ownerReferences.length > 0 ? { ownerReferences } : {}) },
  });
  await cluster.clock.settle();
  return made;
}

const names = (...of: Kind[]): (string | undefined)[] =>
  of.flatMap((kind) => cluster.all(kind).map(({ metadata }) => metadata.name));
const remove = async (
  kind: Kind,
  name: string,
  propagationPolicy: "Background" | "Foreground" | "Orphan",
): Promise<void> => {
  await cluster.client.delete({ ...kind, namespace: "default", name }, { propagationPolicy });
  await cluster.clock.advance(2000);
};

async function chain(): Promise<void> {
  const deployment = await make(kinds.deployments, "d");
  const set = await make(kinds.replicaSets, "r", [
    owned(kinds.deployments, deployment, { controller: true, blockOwnerDeletion: true }),
  ]);
  await make(kinds.configMaps, "c", [owned(kinds.replicaSets, set, { controller: true, blockOwnerDeletion: true })]);
}

const all = [kinds.deployments, kinds.replicaSets, kinds.configMaps];

test("background: the owner goes first, the rest after it", async () => {
  await chain();
  expect(names(...all)).toEqual(["d", "r", "c"]);
  await remove(kinds.deployments, "d", "Background");
  expect(names(...all)).toEqual([]);
  const order = cluster.client.writes.filter((write) => write.startsWith("delete"));
  expect(order).toEqual([
    "delete deployments default/d",
    "delete replicasets default/r",
    "delete configmaps default/c",
  ]);
});

test("foreground: the owner waits for its dependents, theirs included", async () => {
  await chain();
  await cluster.patch(kinds.configMaps, "c", { metadata: { finalizers: ["example.com/hold"] } });
  await remove(kinds.deployments, "d", "Foreground");
  expect(names(...all)).toEqual(["d", "r", "c"]);
  await cluster.patch(kinds.configMaps, "c", { metadata: { finalizers: null } });
  await cluster.clock.advance(2000);
  expect(names(...all)).toEqual([]);
});

test("orphan: dependents stay, without the reference", async () => {
  await chain();
  await remove(kinds.deployments, "d", "Orphan");
  expect(names(...all)).toEqual(["r", "c"]);
  expect(cluster.one(kinds.replicaSets, "r").metadata.ownerReferences).toBeUndefined();
});

test("of several owners the last one counts; references to those gone are removed", async () => {
  const [a, b] = [await make(kinds.deployments, "a"), await make(kinds.deployments, "b")];
  await make(kinds.configMaps, "c", [owned(kinds.deployments, a), owned(kinds.deployments, b)]);
  await remove(kinds.deployments, "a", "Background");
  expect(cluster.one(kinds.configMaps, "c").metadata.ownerReferences).toMatchObject([{ name: "b" }]);
  await remove(kinds.deployments, "b", "Background");
  expect(names(kinds.configMaps)).toEqual([]);
});

test("an owner of another uid is not the owner: the object goes; of an unknown kind nothing is said", async () => {
  const deployment = await make(kinds.deployments, "d");
  await make(kinds.configMaps, "wrong", [owned(kinds.deployments, deployment, { uid: "other" })]);
  await make(kinds.configMaps, "foreign", [{ apiVersion: "example.com/v1", kind: "Widget", name: "w", uid: "w" }]);
  await cluster.clock.advance(2000);
  expect(names(kinds.configMaps)).toEqual(["foreign"]);
});

test("an owner in another namespace is none: the object goes, and an event says why", async () => {
  const metadata = { name: "a", namespace: "away" };
  const away = await cluster.client.create<KubeObject>(
    { ...kinds.configMaps, ...metadata },
    { apiVersion: "v1", kind: "ConfigMap", metadata },
  );
  await make(kinds.configMaps, "c", [owned(kinds.configMaps, away)]);
  await cluster.clock.advance(2000);
  expect(names(kinds.configMaps)).toEqual(["a"]);
  expect(cluster.events().filter((event) => event.startsWith("OwnerRefInvalidNamespace"))).toEqual([
    `OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: default, name: a, uid: ${away.metadata.uid}] does not exist in namespace "default"`,
  ]);
});

test("what has no namespace cannot be owned by what has one: it stays, whoever else is known to be gone", async () => {
  const gone: OwnerReference = { apiVersion: "v1", kind: "ConfigMap", name: "gone", uid: "gone" };
  await make(kinds.configMaps, "c", [gone]);
  await cluster.clock.advance(2000);
  await make(kinds.clusterRoles, "r", [gone]);
  await cluster.clock.advance(60_000);
  expect(names(kinds.configMaps, kinds.clusterRoles)).toEqual(["r"]);
  expect(cluster.events().filter((event) => event.startsWith("OwnerRefInvalidNamespace"))).toEqual([
    'OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: , name: gone, uid: gone] does not exist in namespace ""',
  ]);
});

test("two that own each other do not block", async () => {
  const a = await make(kinds.configMaps, "a");
  await make(kinds.configMaps, "b", [owned(kinds.configMaps, a, { blockOwnerDeletion: true })]);
  await cluster.patch(kinds.configMaps, "a", {
    metadata: {
      ownerReferences: [owned(kinds.configMaps, cluster.one(kinds.configMaps, "b"), { blockOwnerDeletion: true })],
    },
  });
  await remove(kinds.configMaps, "a", "Foreground");
  expect(names(kinds.configMaps)).toEqual([]);
});

test("controllers that were away find what was left behind", async () => {
  await chain();
  await cluster.stopControllers();
  await cluster.client.delete({ ...kinds.deployments, namespace: "default", name: "d" });
  cluster.start();
  await cluster.clock.advance(5000);
  expect(names(...all)).toEqual([]);
});

const owner = (uid: string): OwnerReference => ({ apiVersion: "v1", kind: "X", name: uid, uid });
test.each([
  [[], {}, false, { do: "nothing" }],
  [["a"], { a: "alive" }, false, { do: "nothing" }],
  [["a"], { a: "gone" }, true, { do: "delete", policy: "Background" }],
  [["a", "b"], { a: "gone", b: "alive" }, false, { do: "unlink", owners: ["a"] }],
  [["a", "b"], { a: "gone", b: "waiting for dependents" }, true, { do: "delete", policy: "Foreground" }],
  [["a"], { a: "waiting for dependents" }, false, { do: "delete", policy: "Background" }],
] as const)("owners %j in states %j, dependents %s: %j", (owners, states, hasDependents, expected) => {
  const of = states as Record<string, "alive" | "gone" | "waiting for dependents">;
  expect(judge({ owners: owners.map(owner), finalizers: [] }, ({ uid }) => of[uid] as "alive", hasDependents)).toEqual(
    expected,
  );
});

import { afterEach, beforeEach, expect, test } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { Node, Pod } from "../../../../common/kube/types.ts";
import { TestCluster } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";
import { isReady } from "../kernel/pods.ts";
import { nodeNameOf, nodeWants, templateFor } from "./decide.ts";

let cluster: TestCluster;
beforeEach(() => {
  cluster = new TestCluster({ controllers: ["daemonset-controller"], bindToAffinity: true });
  cluster.start();
});
afterEach(() => cluster.stop());

const template = (image: string, spec: object = {}): object => ({
  metadata: { labels: { app: "d" } },
  spec: { containers: [{ name: "c", image }], ...spec },
});
async function addNode(name: string, spec: object = {}, labels: Record<string, string> = {}): Promise<void> {
  await cluster.create<KubeObject>(kinds.nodes, { metadata: { name, labels }, spec });
}
async function addSet(spec: object = {}): Promise<void> {
  await cluster.create(kinds.daemonSets, {
    metadata: { name: "d" },
    spec: {
      selector: { matchLabels: { app: "d" } },
      template: template("a"),
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
      ...spec,
    },
  });
  await cluster.clock.advance(5000);
}
const pods = (): Pod[] => cluster.all<Pod>(kinds.pods);
const places = (): (string | undefined)[] => pods().map(nodeNameOf).toSorted();
const images = (): (string | undefined)[] => pods().map(({ spec }) => spec?.containers[0]?.image);

test("one Pod per node that fits, on new nodes too", async () => {
  for (const name of ["w1", "w2"]) await addNode(name);
  await addNode("master", { taints: [{ key: "role", effect: "NoSchedule" }] });
  await addSet();
  expect(places()).toEqual(["w1", "w2"]);
  expect(cluster.one(kinds.daemonSets, "d")).toMatchObject({
    status: {
      desiredNumberScheduled: 2,
      currentNumberScheduled: 2,
      numberReady: 2,
      numberAvailable: 2,
      updatedNumberScheduled: 2,
      numberMisscheduled: 0,
      observedGeneration: 1,
    },
  });
  await addNode("w3", {
    unschedulable: true,
    taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }],
  });
  await cluster.clock.advance(5000);
  expect(places()).toEqual(["w1", "w2", "w3"]);
  await cluster.patch(kinds.nodes, "w1", { spec: { taints: [{ key: "out", effect: "NoExecute" }] } });
  await cluster.clock.advance(5000);
  expect(places()).toEqual(["w2", "w3"]);
  const before = cluster.client.writes.length;
  await cluster.clock.advance(3_600_000);
  expect(cluster.client.writes.slice(before)).toEqual([]);
  expect(cluster.log).toEqual([]);
});

test("rolls node by node, and keeps revisions to roll back to", async () => {
  for (const name of ["w1", "w2", "w3"]) await addNode(name);
  await addSet();
  await cluster.patch(kinds.daemonSets, "d", { spec: { template: template("b") } });
  let fewest = 3;
  for (let step = 0; step < 40; step += 1) {
    await cluster.clock.advance(500);
    fewest = Math.min(fewest, pods().filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp).length);
  }
  expect(images()).toEqual(["b", "b", "b"]);
  expect(fewest).toBe(2);
  expect(cluster.all(kinds.controllerRevisions).map(({ revision }) => revision)).toEqual([1, 2]);
  await cluster.patch(kinds.daemonSets, "d", { spec: { template: template("a") } });
  await cluster.clock.advance(20_000);
  expect(images()).toEqual(["a", "a", "a"]);
  expect(cluster.all(kinds.controllerRevisions).map(({ revision }) => revision)).toEqual([3, 2]);
});

test("with surge the new Pod serves before the old one goes", async () => {
  for (const name of ["w1", "w2"]) await addNode(name);
  await addSet({ updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } });
  await cluster.patch(kinds.daemonSets, "d", { spec: { template: template("b") } });
  let fewest = 2;
  for (let step = 0; step < 40; step += 1) {
    await cluster.clock.advance(500);
    fewest = Math.min(fewest, pods().filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp).length);
  }
  expect(images()).toEqual(["b", "b"]);
  expect(fewest).toBe(2);
});

test("OnDelete leaves old Pods alone; a failed one is started anew", async () => {
  await addNode("w1");
  await addSet({ updateStrategy: { type: "OnDelete" } });
  await cluster.patch(kinds.daemonSets, "d", { spec: { template: template("b") } });
  await cluster.clock.advance(20_000);
  expect(images()).toEqual(["a"]);
  await cluster.patch(kinds.pods, pods()[0]?.metadata.name ?? "", { status: { phase: "Failed" } }, "status");
  await cluster.clock.advance(20_000);
  expect(images()).toEqual(["b"]);
  expect(cluster.events().some((text) => text.startsWith("FailedDaemonPod: Found failed daemon pod default/d-"))).toBe(
    true,
  );
});

test.each<[string, object, object, { run: boolean; stay: boolean }]>([
  ["a plain node", {}, {}, { run: true, stay: true }],
  ["NoSchedule", {}, { taints: [{ key: "a", effect: "NoSchedule" }] }, { run: false, stay: true }],
  ["NoExecute", {}, { taints: [{ key: "a", effect: "NoExecute" }] }, { run: false, stay: false }],
  [
    "tolerated",
    { tolerations: [{ operator: "Exists" }] },
    { taints: [{ key: "a", effect: "NoExecute" }] },
    { run: true, stay: true },
  ],
  [
    "not ready",
    {},
    { taints: [{ key: "node.kubernetes.io/not-ready", effect: "NoExecute" }] },
    { run: true, stay: true },
  ],
  ["another selector", { nodeSelector: { disk: "ssd" } }, {}, { run: false, stay: false }],
])("%s", (_what, podSpec, nodeSpec, expected) => {
  const node: Node = { apiVersion: "v1", kind: "Node", metadata: { name: "n", labels: {} }, spec: nodeSpec };
  expect(nodeWants({ spec: podSpec }, node)).toEqual(expected);
});

test("a daemon's Pod is bound to its node within every alternative it had", () => {
  const { spec } = templateFor(
    {
      spec: {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: "a", operator: "Exists" }] }, {}],
            },
          },
        },
      },
    },
    "w1",
    "h",
  );
  const field = [{ key: "metadata.name", operator: "In", values: ["w1"] }];
  expect(spec).toMatchObject({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "a" }], matchFields: field }, { matchFields: field }],
        },
      },
    },
  });
});

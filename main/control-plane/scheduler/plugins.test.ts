import { afterEach, beforeEach, expect, test } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Pod } from "../../../common/kube/types.ts";
import { kinds } from "../controllers/kernel/kinds.ts";
import { conditionOf } from "../controllers/kernel/pods.ts";
import { FakeClient } from "../testing/fake-client.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { startScheduler } from "./index.ts";
import type { RunningScheduler, SchedulerOptions } from "./index.ts";
import { readConfiguration } from "./profiles.ts";

let clock: VirtualClock;
let client: FakeClient;
let scheduler: RunningScheduler;

function start(options: Partial<SchedulerOptions> = {}): void {
  scheduler = startScheduler({ client, clock, random: () => 0.5, ...options });
}

beforeEach(() => {
  clock = new VirtualClock();
  client = new FakeClient({ clock });
});
afterEach(() => scheduler.stop());

function addNode(name: string, labels: Record<string, string> = {}, resources: Record<string, string> = {}): void {
  client.put<KubeObject>(kinds.nodes, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name, ...labels } },
    spec: {},
    status: { allocatable: { cpu: "4", memory: "8Gi", pods: "110", ...resources } },
  });
}

async function addPod(name: string, spec: Record<string, unknown> = {}, cpu = "1"): Promise<void> {
  await client.create(
    { ...kinds.pods, namespace: "default", name },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default", labels: { app: name } },
      spec: { containers: [{ name: "c", resources: { requests: { cpu } } }], ...spec },
    },
  );
  await clock.settle();
}

const claims = (...names: string[]): Record<string, unknown> => ({
  volumes: names.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })),
});

function addClaim(name: string, spec: object, status: object = {}): void {
  client.put<KubeObject>(kinds.persistentVolumeClaims, {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name, namespace: "default" },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
    status,
  });
}

function addVolume(name: string, storageClassName: string, node?: string, more: { labels?: object } = {}): void {
  const terms = [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }] }];
  client.put<KubeObject>(kinds.persistentVolumes, {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name, ...(more as { labels?: Record<string, string> }) },
    spec: {
      storageClassName,
      capacity: { storage: "2Gi" },
      accessModes: ["ReadWriteOnce", "ReadWriteOncePod"],
      ...(node ? { nodeAffinity: { required: { nodeSelectorTerms: terms } } } : {}),
    },
    status: { phase: "Available" },
  });
}

function addClass(name: string, provisioner: string): void {
  client.put<KubeObject>(kinds.storageClasses, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name },
    provisioner,
    volumeBindingMode: "WaitForFirstConsumer",
  });
}

const pod = (name: string): Pod => client.all<Pod>(kinds.pods).find(({ metadata }) => metadata.name === name) as Pod;
const nodeOf = (name: string): string | undefined => pod(name).spec?.nodeName;
const message = (name: string): string => conditionOf(pod(name), "PodScheduled")?.message ?? "";
const claim = (name: string): KubeObject =>
  client.all(kinds.persistentVolumeClaims).find(({ metadata }) => metadata.name === name) as KubeObject;

test("claims that are not there, going, or not bound keep a Pod from every node", async () => {
  start();
  addNode("w1");
  await addPod("a", claims("data"));
  expect(message("a")).toBe(
    '0/1 nodes are available: persistentvolumeclaim "data" not found. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
  );
  addClaim("data", {});
  await clock.advance(3000);
  expect(message("a")).toContain("pod has unbound immediate PersistentVolumeClaims");
  addVolume("pv", "", "w1");
  addClaim("data", { volumeName: "pv" }, { phase: "Bound" });
  await clock.advance(10_000);
  expect(nodeOf("a")).toBe("w1");
});

test("a bound volume decides the node, and so does its zone", async () => {
  start();
  addNode("w1", { "topology.kubernetes.io/zone": "a" });
  addNode("w2", { "topology.kubernetes.io/zone": "b" });
  addVolume("pv", "", "w2");
  addClaim("data", { volumeName: "pv" }, { phase: "Bound" });
  await addPod("a", claims("data"));
  expect(nodeOf("a")).toBe("w2");
  addVolume("zonal", "", undefined, { labels: { "topology.kubernetes.io/zone": "c" } });
  addClaim("far", { volumeName: "zonal" }, { phase: "Bound" });
  await addPod("b", claims("far"));
  expect(message("b")).toContain("2 node(s) had no available volume zone");
});

test("a claim that waits is told the node, and the Pod is bound once the claim is", async () => {
  start();
  addNode("w1");
  addClass("disk", "example.com/disk");
  addClaim("data", { storageClassName: "disk" });
  await addPod("a", claims("data"));
  expect(claim("data").metadata.annotations).toMatchObject({ "volume.kubernetes.io/selected-node": "w1" });
  expect(nodeOf("a")).toBeUndefined();
  addVolume("made", "disk", "w1");
  await client.patch(
    { ...kinds.persistentVolumeClaims, namespace: "default", name: "data" },
    "application/merge-patch+json",
    {
      spec: { volumeName: "made" },
    },
  );
  await client.patch(
    { ...kinds.persistentVolumeClaims, namespace: "default", name: "data", subresource: "status" },
    "application/merge-patch+json",
    { status: { phase: "Bound" } },
  );
  await clock.settle();
  expect(nodeOf("a")).toBe("w1");
});

test("a driver that keeps account of its room is asked where there is enough", async () => {
  const storage = { group: "storage.k8s.io", version: "v1" };
  const room = (node: string, capacity: string): KubeObject =>
    client.put<KubeObject>({ ...storage, resource: "csistoragecapacities" }, {
      apiVersion: "storage.k8s.io/v1",
      kind: "CSIStorageCapacity",
      metadata: { name: node, namespace: "default" },
      storageClassName: "disk",
      nodeTopology: { matchLabels: { "kubernetes.io/hostname": node } },
      capacity,
    } as KubeObject);
  start();
  addNode("w1");
  addNode("w2");
  addClass("disk", "example.com/disk");
  client.put<KubeObject>({ ...storage, resource: "csidrivers" }, {
    apiVersion: "storage.k8s.io/v1",
    kind: "CSIDriver",
    metadata: { name: "example.com/disk" },
    spec: { storageCapacity: true },
  } as KubeObject);
  room("w1", "500Mi");
  addClaim("data", { storageClassName: "disk" });
  await addPod("a", claims("data"));
  expect(message("a")).toContain("2 node(s) did not have enough free storage");
  room("w2", "1Gi");
  await clock.advance(15_000);
  expect(claim("data").metadata.annotations).toMatchObject({ "volume.kubernetes.io/selected-node": "w2" });
});

test("a volume that lies ready is promised to one claim only", async () => {
  start();
  addNode("w1");
  addNode("w2");
  addClass("local", "kubernetes.io/no-provisioner");
  addVolume("on-w2", "local", "w2");
  addClaim("one", { storageClassName: "local" });
  addClaim("two", { storageClassName: "local" });
  await addPod("a", claims("one"));
  await addPod("b", claims("two"));
  expect(client.all(kinds.persistentVolumes)[0]).toMatchObject({ spec: { claimRef: { name: "one" } } });
  expect(message("b")).toContain("2 node(s) didn't find available persistent volumes to bind");
});

test("a provisioner that gives up sends the Pod to be tried again, and nothing waits for ever", async () => {
  start();
  addNode("w1");
  addClass("disk", "example.com/disk");
  addClaim("data", { storageClassName: "disk" });
  await addPod("a", claims("data"));
  await clock.advance(600_000);
  await clock.advance(2000);
  expect(nodeOf("a")).toBeUndefined();
  expect(claim("data").metadata.annotations).toMatchObject({ "volume.kubernetes.io/selected-node": "w1" });
});

test("ReadWriteOncePod: the second Pod waits for the first", async () => {
  start();
  addNode("w1");
  addVolume("pv", "");
  addClaim("data", { volumeName: "pv", accessModes: ["ReadWriteOncePod"] }, { phase: "Bound" });
  await addPod("a", claims("data"));
  await addPod("b", claims("data"));
  expect(message("b")).toContain(
    "1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
  );
  await client.delete({ ...kinds.pods, namespace: "default", name: "a" }, { gracePeriodSeconds: 0 });
  await clock.advance(12_000);
  expect(nodeOf("b")).toBe("w1");
});

test("a driver attaches no more volumes than its node says", async () => {
  start();
  addNode("w1");
  client.put<KubeObject>(
    { group: "storage.k8s.io", version: "v1", resource: "csinodes" },
    {
      apiVersion: "storage.k8s.io/v1",
      kind: "CSINode",
      metadata: { name: "w1" },
      spec: { drivers: [{ name: "csi.example", allocatable: { count: 1 } }] },
    },
  );
  for (const name of ["one", "two"]) {
    client.put<KubeObject>(kinds.persistentVolumes, {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name },
      spec: { csi: { driver: "csi.example", volumeHandle: name } },
    });
    addClaim(name, { volumeName: name }, { phase: "Bound" });
  }
  await addPod("a", claims("one"));
  expect(nodeOf("a")).toBe("w1");
  await addPod("b", claims("two"));
  expect(message("b")).toContain("1 node(s) exceed max volume count");
});

test("room that was made for a Pod is not given to a lower one, and no second victim is taken", async () => {
  start();
  addNode("w1");
  await addPod("low", { priority: 1, terminationGracePeriodSeconds: 30 }, "4");
  await addPod("high", { priority: 10 }, "4");
  expect(pod("low").metadata.deletionTimestamp).toBeDefined();
  expect(conditionOf(pod("low"), "DisruptionTarget")).toMatchObject({ reason: "PreemptionByScheduler" });
  expect(pod("high").status?.nominatedNodeName).toBe("w1");
  await addPod("other", { priority: 5 }, "4");
  await client.delete({ ...kinds.pods, namespace: "default", name: "low" }, { gracePeriodSeconds: 0 });
  await clock.advance(15_000);
  expect(nodeOf("high")).toBe("w1");
  expect(nodeOf("other")).toBeUndefined();
});

test("of two victims the one that no budget protects goes, even when its status changed since", async () => {
  start();
  for (const name of ["w1", "w2"]) addNode(name);
  await addPod("kept", { priority: 1 }, "4");
  await addPod("spent", { priority: 1 }, "4");
  client.put<KubeObject>(kinds.podDisruptionBudgets, {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: "b", namespace: "default" },
    spec: { selector: { matchLabels: { app: "kept" } } },
    status: { disruptionsAllowed: 0 },
  });
  await client.patch(
    { ...kinds.pods, namespace: "default", name: "spent", subresource: "status" },
    "application/merge-patch+json",
    { status: { phase: "Running" } },
  );
  await clock.settle();
  await addPod("high", { priority: 10 }, "4");
  expect(pod("spent").metadata.deletionTimestamp).toBeDefined();
  expect(pod("kept").metadata.deletionTimestamp).toBeUndefined();
});

test("a Pod that must not preempt says so", async () => {
  start();
  addNode("w1");
  await addPod("low", { priority: 1 }, "4");
  await addPod("polite", { priority: 10, preemptionPolicy: "Never" }, "4");
  expect(message("polite")).toBe(
    "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.",
  );
});

const CONFIGURATION = `
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
  - schedulerName: default-scheduler
  - schedulerName: packing
    plugins:
      score:
        disabled: [{ name: "*" }]
        enabled: [{ name: NodeResourcesFit, weight: 5 }]
      filter:
        disabled: [{ name: TaintToleration }]
    pluginConfig:
      - name: NodeResourcesFit
        args:
          scoringStrategy:
            type: MostAllocated
            resources: [{ name: cpu, weight: 1 }]
`;

test("profiles: a Pod is decided by the plug-ins, weights and arguments of its schedulerName", async () => {
  start({ configuration: readConfiguration(CONFIGURATION) });
  for (const name of ["w1", "w2", "w3"]) addNode(name);
  for (const name of ["a", "b", "c"]) await addPod(name, { schedulerName: "packing" });
  expect(new Set(["a", "b", "c"].map(nodeOf)).size).toBe(1);
  await addPod("spread");
  expect(nodeOf("spread")).not.toBe(nodeOf("a"));
  await addPod("nobody", { schedulerName: "else" });
  expect(nodeOf("nobody")).toBeUndefined();
  expect(client.all(kinds.events).find(({ message: text }) => String(text).includes("default/b"))).toMatchObject({
    source: { component: "packing" },
  });
});

test.each([
  ["kind: Pod", "not a KubeSchedulerConfiguration"],
  [`${CONFIGURATION}  - schedulerName: packing\n`, "duplicate schedulerName"],
  [CONFIGURATION.replace("NodeResourcesFit, weight", "Nope, weight"), 'no plug-in "Nope"'],
  [CONFIGURATION.replace("filter:", "filters:"), "no such extension point"],
])("a configuration that makes no sense is refused", (text, why) => {
  expect(() => readConfiguration(text)).toThrow(why);
  start();
});

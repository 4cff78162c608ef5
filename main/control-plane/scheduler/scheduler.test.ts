import { afterEach, beforeEach, expect, test } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { kinds } from "../controllers/kernel/kinds.ts";
import { conditionOf } from "../controllers/kernel/pods.ts";
import { FakeClient } from "../testing/fake-client.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { ClusterCache } from "./cache.ts";
import { budgetsOf } from "./evict.ts";
import { startScheduler } from "./index.ts";
import type { RunningScheduler } from "./index.ts";
import type { Budget } from "./preemption.ts";

let clock: VirtualClock;
let client: FakeClient;
let scheduler: RunningScheduler;

beforeEach(() => {
  clock = new VirtualClock();
  client = new FakeClient({ clock });
  scheduler = startScheduler({ client, clock, random: () => 0.5 });
});
afterEach(() => scheduler.stop());

interface NodeWish {
  labels?: Record<string, string>;
  taints?: { key: string; value?: string; effect: string }[];
  cpu?: string;
  pods?: string;
  unschedulable?: boolean;
}

function addNode(name: string, { labels = {}, taints, cpu = "4", pods = "110", unschedulable }: NodeWish = {}): void {
  client.put<KubeObject>(kinds.nodes, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name, ...labels } },
    spec: { ...(taints ? { taints } : {}), ...(unschedulable ? { unschedulable } : {}) },
    status: { allocatable: { cpu, memory: "8Gi", pods } },
  });
}

interface PodWish {
  cpu?: string;
  labels?: Record<string, string>;
  priority?: number;
  spec?: object;
}

async function addPod(name: string, { cpu, labels = {}, priority, spec = {} }: PodWish = {}): Promise<void> {
  const resources = cpu === undefined ? {} : { requests: { cpu } };
  await client.create(
    { ...kinds.pods, namespace: "default", name },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default", labels },
      spec: {
        schedulerName: "default-scheduler",
        containers: [{ name: "c", image: "i", resources }],
        ...(priority === undefined ? {} : { priority }),
        ...spec,
      },
    },
  );
  await clock.settle();
}

const pod = (name: string): Pod => client.all<Pod>(kinds.pods).find(({ metadata }) => metadata.name === name) as Pod;
const nodeOf = (name: string): string | undefined => pod(name).spec?.nodeName;
const message = (name: string): string | undefined => conditionOf(pod(name), "PodScheduled")?.message;
const events = (): string[] =>
  client.all(kinds.events).map(({ reason, message: text }) => `${String(reason)}: ${String(text)}`);

test("binds to a node that fits and says so", async () => {
  addNode("small", { cpu: "1" });
  addNode("large");
  await addPod("a", { cpu: "2" });
  expect(nodeOf("a")).toBe("large");
  expect(events()).toEqual(["Scheduled: Successfully assigned default/a to large"]);
});

test("says why no node will do, in Kubernetes' words", async () => {
  addNode("master", { taints: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }] });
  addNode("w1", { cpu: "1" });
  addNode("w2", { cpu: "1" });
  await addPod("a", { cpu: "2" });
  const text =
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
  expect(message("a")).toBe(text);
  expect(events()).toEqual([`FailedScheduling: ${text}`]);
  expect(conditionOf(pod("a"), "PodScheduled")).toMatchObject({ status: "False", reason: "Unschedulable" });
});

test("without nodes there is nothing to say but that; the first node that fits takes the Pod", async () => {
  await addPod("a");
  expect(message("a")).toBe("no nodes available to schedule pods");
  addNode("cordoned", { unschedulable: true });
  await clock.advance(2000);
  expect(message("a")).toContain("1 node(s) were unschedulable");
  addNode("w1");
  await clock.advance(5000);
  expect(nodeOf("a")).toBe("w1");
});

test("a Pod that ends makes room for one that waits", async () => {
  addNode("w1", { cpu: "1" });
  await addPod("a", { cpu: "1" });
  await addPod("b", { cpu: "1" });
  expect(message("b")).toBe(
    "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
  );
  await client.patch(
    { ...kinds.pods, namespace: "default", name: "a", subresource: "status" },
    "application/merge-patch+json",
    { status: { phase: "Succeeded" } },
  );
  await clock.advance(2000);
  expect(nodeOf("b")).toBe("w1");
});

test("an event that cannot help wakes nobody", async () => {
  addNode("w1", { cpu: "1" });
  await addPod("a", { cpu: "2" });
  const before = client.writes.length;
  await client.patch({ ...kinds.nodes, name: "w1" }, "application/merge-patch+json", {
    metadata: { labels: { new: "label" } },
  });
  await clock.advance(60_000);
  expect(client.writes.slice(before)).toEqual(["patch nodes w1"]);
});

const near = (key: string, anti = false): object => ({
  affinity: {
    [anti ? "podAntiAffinity" : "podAffinity"]: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: key } } },
      ],
    },
  },
});

test("anti-affinity keeps Pods apart, both ways; affinity brings them together", async () => {
  for (const name of ["w1", "w2"]) addNode(name);
  await addPod("a", { labels: { app: "db" }, spec: near("db", true) });
  await addPod("b", { labels: { app: "db" }, spec: near("db", true) });
  expect(new Set([nodeOf("a"), nodeOf("b")])).toEqual(new Set(["w1", "w2"]));
  await addPod("c", { labels: { app: "db" } });
  expect(message("c")).toContain("2 node(s) didn't satisfy existing pods anti-affinity rules");
  await addPod("d", { labels: { app: "db" }, spec: near("db", true) });
  expect(message("d")).toContain("2 node(s) didn't match pod anti-affinity rules");
  await addPod("e", { spec: near("none") });
  expect(message("e")).toContain("2 node(s) didn't match pod affinity rules");
  await addPod("f", { labels: { app: "team" }, spec: near("team") });
  await addPod("g", { labels: { app: "team" }, spec: near("team") });
  expect(nodeOf("g")).toBe(nodeOf("f"));
});

test("topology spread holds the skew, and siblings spread by default", async () => {
  for (const name of ["w1", "w2", "w3"]) addNode(name, { labels: { zone: name === "w3" ? "b" : "a" } });
  const spread = {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchLabels: { app: "x" } },
      },
    ],
  };
  for (const name of ["a", "b", "c", "d"]) await addPod(name, { labels: { app: "x" }, spec: spread });
  const inB = ["a", "b", "c", "d"].filter((name) => nodeOf(name) === "w3");
  expect(inB).toHaveLength(2);
});

test("nodeSelector, host ports and gates", async () => {
  addNode("w1", { labels: { disk: "ssd" } });
  addNode("w2");
  await addPod("a", { spec: { nodeSelector: { disk: "ssd" } } });
  expect(nodeOf("a")).toBe("w1");
  await addPod("b", { spec: { nodeSelector: { disk: "tape" } } });
  expect(message("b")).toContain("2 node(s) didn't match Pod's node affinity/selector");
  const ports = { containers: [{ name: "c", ports: [{ containerPort: 80, hostPort: 80 }] }] };
  for (const name of ["c", "d", "e"]) await addPod(name, { spec: ports });
  expect(message("e")).toContain("2 node(s) didn't have free ports for the requested pod ports");
  await addPod("g", { spec: { schedulingGates: [{ name: "wait" }] } });
  expect(conditionOf(pod("g"), "PodScheduled")).toMatchObject({
    reason: "SchedulingGated",
    message: "Scheduling is blocked due to non-empty scheduling gates",
  });
  await client.patch({ ...kinds.pods, namespace: "default", name: "g" }, "application/merge-patch+json", {
    spec: { schedulingGates: null },
  });
  await clock.settle();
  expect(nodeOf("g")).toBeDefined();
});

test("a Pod of higher priority takes the place of the lowest that suffices", async () => {
  addNode("w1", { cpu: "2" });
  addNode("w2", { cpu: "2" });
  await addPod("low", { cpu: "2", priority: 1 });
  await addPod("middle", { cpu: "2", priority: 5 });
  await addPod("high", { cpu: "1", priority: 10 });
  await clock.settle();
  expect(pod("low").metadata.deletionTimestamp).toBeDefined();
  expect(pod("middle").metadata.deletionTimestamp).toBeUndefined();
  expect(events().some((text) => text.startsWith("Preempted: Preempted by pod"))).toBe(true);
  const place = nodeOf("low");
  await client.delete({ ...kinds.pods, namespace: "default", name: "low" }, { gracePeriodSeconds: 0 });
  await clock.advance(3000);
  expect(nodeOf("high")).toBe(place);
});

test("a binding that is refused is tried again and leaves no ghost on the node", async () => {
  let refusals = 2;
  await scheduler.stop();
  client = new FakeClient({
    clock,
    fault: (operation, ref) => {
      if (operation === "create" && ref.subresource === "binding" && refusals-- > 0)
        throw new Error("connection reset");
    },
  });
  scheduler = startScheduler({ client, clock });
  addNode("w1", { cpu: "1" });
  await addPod("a", { cpu: "1" });
  await clock.advance(10_000);
  expect(nodeOf("a")).toBe("w1");
});

test("many Pods fill the nodes evenly and never beyond what they have", async () => {
  for (let at = 0; at < 10; at += 1) addNode(`w${at}`, { pods: "12" });
  for (let at = 0; at < 130; at += 1) await addPod(`p${at}`);
  const counts = new Map<string, number>();
  for (const { spec } of client.all<Pod>(kinds.pods))
    if (spec?.nodeName) counts.set(spec.nodeName, (counts.get(spec.nodeName) ?? 0) + 1);
  expect([...counts.values()]).toEqual(Array.from({ length: 10 }, () => 12));
  expect(client.all<Node>(kinds.nodes)).toHaveLength(10);
});

test("a resize counts by the larger amount until it is done, and what it frees helps others at once", async () => {
  addNode("w1");
  await addPod("big", { cpu: "3" });
  const big = client.all<Pod>(kinds.pods)[0] as Pod;
  const resources = (cpu: string): object => ({ requests: { cpu } });
  const put = (wanted: string, held: string): Pod =>
    client.put<Pod>(kinds.pods, {
      ...big,
      metadata: { ...big.metadata, generation: Number(wanted) },
      spec: { ...big.spec, containers: [{ name: "c", image: "i", resources: resources(wanted) }] },
      status: {
        phase: "Running",
        containerStatuses: [{ name: "c", resources: resources(held), allocatedResources: { cpu: held } }],
      },
    } as unknown as Pod);
  put("3", "3");
  await addPod("small", { cpu: "2" });
  put("1", "3");
  await clock.advance(3000);
  expect(nodeOf("small")).toBeUndefined();
  put("1", "1");
  await clock.advance(3000);
  expect(nodeOf("small")).toBe("w1");
});

test("images are weighed by how many nodes have them, as nodes come, change and go", async () => {
  const cache = new ClusterCache();
  const node = (name: string, ...images: string[]): Node =>
    ({ metadata: { name }, status: { images: images.map((image) => ({ names: [image], sizeBytes: 1 })) } }) as Node;
  cache.setNode(node("a", "x", "y"));
  cache.setNode(node("b", "x"));
  expect([cache.nodesWithImage("x"), cache.nodesWithImage("y"), cache.nodesWithImage("z")]).toEqual([2, 1, 0]);
  cache.setNode(node("a", "z"));
  expect([cache.nodesWithImage("x"), cache.nodesWithImage("y"), cache.nodesWithImage("z")]).toEqual([1, 0, 1]);
  cache.removeNode("b");
  expect(cache.nodesWithImage("x")).toBe(0);
});

test("a disruption budget protects no Pod that it has counted already, and none when it selects everything", () => {
  const budget = (selector: object, disruptedPods = {}): Budget =>
    budgetsOf([
      {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata: { namespace: "default" },
        spec: { selector },
        status: { disruptionsAllowed: 0, disruptedPods },
      },
    ])[0] as Budget;
  expect(budget({ matchLabels: { app: "a" } }).matches({ app: "a" })).toBe(true);
  expect(budget({}).matches({ app: "a" })).toBe(false);
  expect(budget({ matchLabels: { app: "a" } }, { gone: "2030-01-01T00:00:00Z" }).disrupted).toEqual(new Set(["gone"]));
});

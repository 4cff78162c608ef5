import { afterEach, expect, test } from "vitest";
import { microTimestamp, timestamp } from "../../../../common/kube/clock.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { Node, Pod } from "../../../../common/kube/types.ts";
import { TestCluster } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";
import { conditionOf } from "../kernel/pods.ts";
import { decideTaints, evictionPace } from "./decide.ts";
import { stayMillis } from "./taint-eviction.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

const alive = new Set<string>();

/** Nodes whose kubelets renew their leases every 10 s as long as they are in `alive`. */
async function withNodes(...names: string[]): Promise<void> {
  alive.clear();
  cluster = new TestCluster({ controllers: ["node-controller", "taint-eviction-controller", "pod-garbage-collector"] });
  const beat = (): void => {
    for (const name of alive) {
      const renewTime = microTimestamp(cluster.clock.now());
      cluster.client.put<KubeObject>(kinds.leases, {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name, namespace: "kube-node-lease" },
        spec: { renewTime },
      });
    }
    cluster.clock.after(10_000, beat);
  };
  for (const name of names) {
    alive.add(name);
    cluster.client.put<KubeObject>(kinds.nodes, {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name },
      spec: {},
      status: { conditions: ready() },
    });
  }
  beat();
  cluster.start();
  await cluster.clock.advance(1000);
}

const ready = (): object[] => [
  {
    type: "Ready",
    status: "True",
    reason: "KubeletReady",
    lastHeartbeatTime: timestamp(cluster.clock.now()),
    lastTransitionTime: timestamp(cluster.clock.now()),
  },
];

function addPod(name: string, nodeName: string, tolerationSeconds: number): void {
  const tolerations = ["not-ready", "unreachable"].map((key) => ({
    key: `node.kubernetes.io/${key}`,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds,
  }));
  cluster.client.put<KubeObject>(kinds.pods, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: { nodeName, tolerations, containers: [{ name: "c" }], terminationGracePeriodSeconds: 1 },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
  });
}

const node = (name: string): Node => cluster.one<Node>(kinds.nodes, name);
const taintsOf = (name: string): string[] =>
  (node(name).spec?.taints ?? []).map(({ key, effect }) => `${key.split("/")[1]}:${effect}`).toSorted();
const podNames = (): (string | undefined)[] => cluster.all(kinds.pods).map(({ metadata }) => metadata.name);

test("a node that falls silent becomes Unknown, is tainted, and loses its Pods after their time; back again it is clean", async () => {
  await withNodes("w1", "w2");
  addPod("a", "w1", 60);
  await cluster.clock.advance(20_000);
  alive.delete("w1");
  await cluster.clock.advance(30_000);
  expect(conditionOf(node("w1"), "Ready")?.status).toBe("True");
  await cluster.clock.advance(30_000);
  expect(conditionOf(node("w1"), "Ready")).toMatchObject({
    status: "Unknown",
    reason: "NodeStatusUnknown",
    message: "Kubelet stopped posting node status.",
  });
  expect(taintsOf("w1")).toEqual(["unreachable:NoExecute", "unreachable:NoSchedule"]);
  expect(conditionOf(cluster.one<Pod>(kinds.pods, "a"), "Ready")?.status).toBe("False");
  expect(cluster.events()).toContain("NodeNotReady: Node w1 status is now: NodeNotReady");
  expect(taintsOf("w2")).toEqual([]);
  expect(podNames()).toEqual(["a"]);
  await cluster.clock.advance(65_000);
  expect(podNames()).toEqual([]);
  expect(cluster.events()).toContain("TaintManagerEviction: Marking for deletion Pod default/a");
  alive.add("w1");
  await cluster.patch(kinds.nodes, "w1", { status: { conditions: ready() } }, "status");
  await cluster.clock.advance(10_000);
  expect(taintsOf("w1")).toEqual([]);
  const before = cluster.client.writes.length;
  await cluster.clock.advance(600_000);
  expect(cluster.client.writes.slice(before)).toEqual([]);
});

test("of a node that says itself that it is not ready, the Pods stay as its kubelet says until they are driven away", async () => {
  await withNodes("w1", "w2");
  addPod("a", "w1", 60);
  await cluster.patch(
    kinds.nodes,
    "w1",
    { status: { conditions: [{ ...ready()[0], type: "Ready", status: "False" }] } },
    "status",
  );
  await cluster.clock.advance(30_000);
  expect(taintsOf("w1")).toEqual(["not-ready:NoExecute", "not-ready:NoSchedule"]);
  expect(conditionOf(cluster.one<Pod>(kinds.pods, "a"), "Ready")?.status).toBe("True");
  expect(cluster.events().filter((event) => event.startsWith("NodeNotReady"))).toEqual([]);
});

test("a node that returns in time keeps its Pods", async () => {
  await withNodes("w1", "w2");
  addPod("a", "w1", 60);
  alive.delete("w1");
  await cluster.clock.advance(70_000);
  expect(taintsOf("w1")).toContain("unreachable:NoExecute");
  alive.add("w1");
  await cluster.patch(kinds.nodes, "w1", { status: { conditions: ready() } }, "status");
  await cluster.clock.advance(600_000);
  expect(podNames()).toEqual(["a"]);
  expect(cluster.events()).toContain("TaintManagerEviction: Cancelling deletion of Pod default/a");
});

test("the host asleep for an hour evicts nothing", async () => {
  await withNodes("w1", "w2");
  addPod("a", "w1", 10);
  await cluster.clock.advance(30_000);
  // Asleep: the wall clock jumps, and the nodes need a while to come back, too.
  cluster.clock.jump(3_600_000);
  alive.delete("w1");
  await cluster.clock.advance(35_000);
  alive.add("w1");
  await cluster.clock.advance(600_000);
  expect(podNames()).toEqual(["a"]);
  expect(taintsOf("w1")).toEqual([]);
  expect(cluster.log.some((line) => line.includes("asleep for 3600 s"))).toBe(true);
});

test("when every node is silent nobody is evicted", async () => {
  await withNodes("w1", "w2");
  addPod("a", "w1", 10);
  alive.clear();
  await cluster.clock.advance(600_000);
  expect(conditionOf(node("w1"), "Ready")?.status).toBe("Unknown");
  expect(taintsOf("w1")).toEqual(["unreachable:NoSchedule"]);
  expect(podNames()).toEqual(["a"]);
});

test("Pods of a node that was removed are cleared away", async () => {
  await withNodes("w1", "w2");
  addPod("a", "w1", 300);
  await cluster.client.delete({ ...kinds.nodes, name: "w1" });
  await cluster.clock.advance(30_000);
  expect(podNames()).toEqual(["a"]);
  await cluster.clock.advance(60_000);
  expect(podNames()).toEqual([]);
});

test("a cordoned node carries the unschedulable taint", async () => {
  await withNodes("w1");
  await cluster.patch(kinds.nodes, "w1", { spec: { unschedulable: true } });
  await cluster.clock.advance(1000);
  expect(taintsOf("w1")).toEqual(["unschedulable:NoSchedule"]);
  await cluster.patch(kinds.nodes, "w1", { spec: { unschedulable: null } });
  await cluster.clock.advance(1000);
  expect(taintsOf("w1")).toEqual([]);
});

test("foreign taints stay, and a taint keeps the time it was put on", () => {
  const taints = [
    { key: "mine", effect: "NoExecute" as const },
    { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" as const, timeAdded: "2026-01-01T00:00:00Z" },
  ];
  const of: Node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n" },
    spec: { taints },
    status: { conditions: [{ type: "Ready", status: "False" }] },
  };
  expect(decideTaints(of, "hold", 0)).toEqual(taints);
});

test.each<[number, number, [number, number][], number | string]>([
  [0, 3, [], "call off"],
  [0, 3, [[0, 2]], "call off"],
  // A zone that is gone as a whole beside others that are not.
  [0, 3, [[1, 2]], 10_000],
  [1, 1, [], 10_000],
  [2, 1, [], 10_000],
  [1, 2, [], 10_000],
  [1, 3, [], "hold"],
  [20, 31, [], 100_000],
  [10, 5, [], 10_000],
])("%i ready and %i not, beside zones of %j: %s", (isReady, notReady, others, pace) => {
  const zone = { ready: isReady, notReady };
  expect(evictionPace(zone, [zone, ...others.map(([a, b]) => ({ ready: a, notReady: b }))])).toBe(pace);
});

test.each([
  [[], 0],
  [[{ operator: "Exists" }], undefined],
  [[{ key: "a", operator: "Exists", tolerationSeconds: 7 }], 7000],
  [
    [
      { key: "a", operator: "Exists", tolerationSeconds: 7 },
      { key: "a", operator: "Equal", value: "", tolerationSeconds: 3 },
    ],
    3000,
  ],
  [[{ key: "b", operator: "Exists" }], 0],
  [[{ key: "a", operator: "Exists", effect: "NoSchedule" }], 0],
])("tolerations %j may stay %s ms", (tolerations, stay) => {
  expect(stayMillis(tolerations, [{ key: "a", effect: "NoExecute" }])).toBe(stay);
});

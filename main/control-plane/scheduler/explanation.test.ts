import { expect, test } from "vitest";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { ClusterCache } from "./cache.ts";
import { explainPod } from "./explanation.ts";
import type { SchedulerView } from "./index.ts";
import { PodInfo } from "./model.ts";
import { profileOf } from "./profiles.ts";

const profile = profileOf();

function view(nodes: Node[]): SchedulerView {
  const cluster = new ClusterCache();
  for (const node of nodes) cluster.setNode(node);
  return {
    cluster,
    profileFor: ({ spec }) => (spec?.schedulerName === "other" ? undefined : profile),
    schedulerNames: ["default-scheduler", "packing"],
    queued: () => undefined,
    pending: () => ({}),
  };
}

const node = (name: string, spec: object = {}, labels: Record<string, string> = {}): Node =>
  ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name, ...labels } },
    spec,
    status: { allocatable: { cpu: "4", memory: "8Gi", pods: "110" } },
  }) as Node;

const pod = (name: string, cpu: string, spec: object = {}): Pod =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", uid: name, labels: { app: name } },
    spec: { containers: [{ name: "c", resources: { requests: { cpu } } }], ...spec },
  }) as Pod;

const texts = (at: SchedulerView, of: Pod): string[] => explainPod(at, of).remedies.map(({ text }) => text);

test("every refusal of every node, and what was tried and helps, the smallest change first", () => {
  const at = view([
    node("cordoned", {
      unschedulable: true,
      taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }],
    }),
    node("full"),
    node("gpu", { taints: [{ key: "dedicated", value: "gpu", effect: "NoSchedule" }] }),
  ]);
  at.cluster.assume(new PodInfo(pod("other", "3")), "full");
  const report = explainPod(at, pod("web", "2"));
  expect(report).toMatchObject({ state: "Pending", considered: 3, fitting: 0 });
  expect(report.nodes.find(({ name }) => name === "cordoned")?.refusals.map(({ plugin }) => plugin)).toEqual([
    "NodeUnschedulable",
    "TaintToleration",
  ]);
  expect(report.remedies.map(({ text }) => text)).toEqual([
    "uncordon cordoned",
    "tolerate taint dedicated=gpu:NoSchedule",
    "remove taint dedicated=gpu:NoSchedule from gpu",
    "ask for at most 1 CPU instead of 2",
    "add 1 CPU to full",
    "end Pod default/other on full",
    "add a node like full",
  ]);
  expect([...at.cluster.node("full")!.pods.keys()]).toEqual(["other"]);
});

test("a node that refuses for two reasons needs both answered", () => {
  const at = view([node("gpu", { taints: [{ key: "dedicated", value: "gpu", effect: "NoSchedule" }] })]);
  expect(texts(at, pod("web", "1", { nodeSelector: { disk: "ssd" } }))).toContain(
    "tolerate taint dedicated=gpu:NoSchedule, and label gpu with disk=ssd",
  );
});

test("affinity, spread and ports are answered too", () => {
  const at = view([node("w1", {}, { zone: "a" })]);
  const apart = {
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: "zone", labelSelector: { matchLabels: { app: "web" } } },
        ],
      },
    },
  };
  at.cluster.assume(new PodInfo(pod("web", "1")), "w1");
  expect(texts(at, { ...pod("web", "1", apart), metadata: { ...pod("web", "1").metadata, uid: "second" } })).toEqual([
    "make the required Pod anti-affinity a preferred one",
  ]);
  const ports = { containers: [{ name: "c", ports: [{ containerPort: 80, hostPort: 80 }] }] };
  at.cluster.assume(new PodInfo(pod("first", "1", ports)), "w1");
  expect(texts(at, pod("again", "1", ports))[0]).toBe("drop hostPort 80");
});

test("of spreading the smallest step that helps is said, and that too few domains are what is wrong", () => {
  const at = view([node("w1", {}, { zone: "a" }), node("w2", {}, { zone: "a" })]);
  const spread = {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        minDomains: 2,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchLabels: { app: "web" } },
      },
    ],
  };
  at.cluster.assume(new PodInfo(pod("web", "1")), "w1");
  const second = { ...pod("web", "1", spread), metadata: { ...pod("web", "1").metadata, uid: "second" } };
  expect(texts(at, second)).toEqual([
    "raise maxSkew of zone to 2",
    "drop minDomains of zone",
    "let spreading over zone be a wish (whenUnsatisfiable: ScheduleAnyway)",
  ]);
});

test("a Pod for another scheduler is told which there are here", () => {
  const at = view([node("w1")]);
  const report = explainPod(at, pod("web", "1", { schedulerName: "other" }));
  expect(report.state).toBe("NotOurs");
  expect(report.summary).toBe(
    'left to the scheduler "other", which is not this one ("default-scheduler", "packing"): without it the Pod waits for ever',
  );
});

test("a Pod with its node is told the scores that would be given now; gates and ends are said", () => {
  const at = view([node("w1"), node("w2")]);
  const placed = pod("web", "1", { nodeName: "w1" });
  at.cluster.setPod(placed);
  const report = explainPod(at, placed);
  expect(report.state).toBe("Scheduled");
  expect(report.summary).toBe("runs on w1, as good as any of 2 that fit (2 nodes)");
  const first = report.nodes[0]!;
  expect(first.total).toBe(first.scores.reduce((sum, { score, weight }) => sum + score * weight, 0));
  expect(at.cluster.node("w1")!.pods.size).toBe(1);
  expect(texts(at, pod("held", "1", { schedulingGates: [{ name: "quota" }] }))[0]).toBe(
    "remove the scheduling gate quota",
  );
  expect(explainPod(at, { ...placed, status: { phase: "Succeeded" } } as Pod).state).toBe("Finished");
});

import { beforeEach, expect, test } from "vitest";
import type { History } from "../../../common/kube/explain.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { changesOf } from "./changes.ts";
import { historySource } from "./histories.ts";
import { HistoryRecorder } from "./recorder.ts";
import type { Observed } from "./recorder.ts";

let now = 0;
let revision = 0;
let recorder: HistoryRecorder;
beforeEach(() => {
  now = Date.parse("2026-01-01T00:00:00Z");
  revision = 0;
  recorder = new HistoryRecorder({ now: () => now });
});

const kinds = {
  Deployment: { group: "apps", resource: "deployments", kind: "Deployment", namespaced: true },
  ReplicaSet: { group: "apps", resource: "replicasets", kind: "ReplicaSet", namespaced: true },
  Pod: { group: "", resource: "pods", kind: "Pod", namespaced: true },
  Secret: { group: "", resource: "secrets", kind: "Secret", namespaced: true },
};

const object = (kind: keyof typeof kinds, name: string, more: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind,
  metadata: { name, namespace: "default", uid: name },
  ...more,
});

function write(kind: keyof typeof kinds, of: KubeObject, more: Partial<Observed> = {}): number {
  now += 1000;
  revision += 1;
  const by = { user: "kubernetes-admin", manager: "kubectl" };
  recorder.observe({ operation: "created", resource: kinds[kind], object: of, revision, ...by, ...more });
  return revision;
}

const controller = (actor: string, uid: string, at: number): Partial<Observed> => ({
  user: "system:kube-controller-manager",
  manager: "kube-controller-manager",
  cause: { uid, resourceVersion: String(at), actor },
});

test("a Pod's chain leads back to the edit of its Deployment", () => {
  const created = write("Deployment", object("Deployment", "web", { spec: { replicas: 1 } }));
  const set = write("ReplicaSet", object("ReplicaSet", "web-1"), controller("deployment-controller", "web", created));
  const pod = object("Pod", "web-1-a", { spec: {} });
  write("Pod", pod, controller("replicaset-controller", "web-1", set));
  const bound = object("Pod", "web-1-a", { spec: { nodeName: "w1" } });
  write("Pod", bound, { operation: "changed", subresource: "binding", old: pod, user: "system:kube-scheduler" });
  const running = { ...bound, status: { phase: "Running" } };
  write("Pod", running, { operation: "changed", old: bound, user: "system:node:w1", manager: "kubelet" });
  const history = historySource(recorder, true).get("default", "pod.web-1-a") as History;
  expect(history.chain.map(({ object: of, what, by }) => `${of.kind} ${of.name}: ${what} by ${by}`)).toEqual([
    "Deployment web: created by kubernetes-admin with kubectl",
    "ReplicaSet web-1: created by deployment-controller",
    "Pod web-1-a: created by replicaset-controller",
    "Pod web-1-a: bound to w1 by scheduler",
    "Pod web-1-a: changed status.phase: nothing → Running by kubelet of w1",
  ]);
});

test("a cause is the state that was seen, not what came later", () => {
  const first = object("Deployment", "web", { spec: { replicas: 1 } });
  write("Deployment", first);
  const second = object("Deployment", "web", { spec: { replicas: 3 } });
  const seen = write("Deployment", second, { operation: "changed", old: first });
  write("Deployment", object("Deployment", "web", { spec: { paused: true } }), { operation: "changed", old: second });
  write("ReplicaSet", object("ReplicaSet", "web-1"), controller("deployment-controller", "web", seen));
  const history = historySource(recorder, true).get("default", "replicaset.web-1") as History;
  expect(history.entries[0]?.because).toBe(
    "Deployment default/web changed spec.replicas: 1 → 3 by kubernetes-admin with kubectl",
  );
});

test("what repeats is counted, what only touches times is left out", () => {
  const states = [1, 2, 3].map((count) => object("Pod", "p", { status: { count } }));
  write("Pod", states[0] as KubeObject);
  write("Pod", states[1] as KubeObject, { operation: "changed", old: states[0] as KubeObject });
  write("Pod", states[2] as KubeObject, { operation: "changed", old: states[1] as KubeObject });
  write("Pod", states[2] as KubeObject, { operation: "changed", old: states[2] as KubeObject });
  const history = historySource(recorder, true).get("default", "pod.p") as History;
  expect(history.entries.map(({ what, count }) => [what, count])).toEqual([
    ["created", 1],
    ["changed status.count: 2 → 3 (2 times)", 2],
  ]);
});

test("rings and bytes are bounded, and how an object began is kept", () => {
  recorder = new HistoryRecorder({ now: () => now, mostEntries: 4, mostBytes: 100_000 });
  for (let at = 0; at < 20; at += 1) {
    const [old, next] = [
      object("Pod", "p", { spec: { [`f${at}`]: 1 } }),
      object("Pod", "p", { spec: { [`g${at}`]: 1 } }),
    ];
    write("Pod", next, at === 0 ? {} : { operation: "changed", old });
  }
  const history = historySource(recorder, true).get("default", "pod.p") as History;
  expect(history.entries).toHaveLength(4);
  expect(history.entries[0]?.what).toBe("created");
  expect(history.forgotten).toBe(16);
  for (let at = 0; at < 1000; at += 1) write("Pod", object("Pod", `many-${at}`));
  expect(recorder.bytes).toBeLessThanOrEqual(100_000);
  expect(recorder.size).toBeLessThan(100);
  expect(recorder.byUid("p")).toBeUndefined();
  expect(recorder.byUid("many-999")).toBeDefined();
});

test("the values of Secrets are never told; conditions are, by their status", () => {
  const before = object("Secret", "s", { data: { password: "b2xk" } });
  const after = object("Secret", "s", { data: { password: "bmV3" } });
  expect(changesOf(before, after)).toEqual(["data.password changed"]);
  const condition = (status: string): object => ({
    conditions: [{ type: "Ready", status, lastTransitionTime: status }],
  });
  expect(
    changesOf(object("Pod", "p", { status: condition("False") }), object("Pod", "p", { status: condition("True") })),
  ).toEqual(["status.conditions.Ready.status: False → True"]);
  const labels = (more: object): object => ({ metadata: { name: "p", labels: { app: "web", ...more } } });
  expect(changesOf(object("Pod", "p", labels({ constructor: "x" })), object("Pod", "p", labels({})))).toEqual([
    "metadata.labels.constructor: x → nothing",
  ]);
});

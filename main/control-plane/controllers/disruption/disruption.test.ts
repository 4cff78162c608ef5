import { afterEach, expect, test } from "vitest";
import type { Pod } from "../../../../common/kube/types.ts";
import { TestCluster } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";
import { decideBudget } from "./decide.ts";
import type { Budget } from "./decide.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

const NOW = Date.UTC(2026, 0, 1);
const pods = (ready: number, notReady = 0): Pod[] =>
  Array.from({ length: ready + notReady }, (_, at) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `p${at}` },
    status: { phase: "Running", conditions: [{ type: "Ready", status: at < ready ? "True" : "False" }] },
  }));
const budget = (spec: object, status?: object): Budget =>
  ({
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: "b", generation: 2 },
    spec,
    ...(status ? { status } : {}),
  }) as Budget;

test.each<
  [string, object, Pod[], number, { desiredHealthy: number; disruptionsAllowed: number; expectedPods: number }]
>([
  ["minAvailable", { minAvailable: 2 }, pods(3), 3, { desiredHealthy: 2, disruptionsAllowed: 1, expectedPods: 3 }],
  [
    "minAvailable with too few",
    { minAvailable: 2 },
    pods(1, 2),
    3,
    { desiredHealthy: 2, disruptionsAllowed: 0, expectedPods: 3 },
  ],
  [
    "minAvailable in percent rounds up",
    { minAvailable: "50%" },
    pods(5),
    5,
    { desiredHealthy: 3, disruptionsAllowed: 2, expectedPods: 5 },
  ],
  [
    "maxUnavailable counts from what is wanted",
    { maxUnavailable: 1 },
    pods(3),
    4,
    { desiredHealthy: 3, disruptionsAllowed: 0, expectedPods: 4 },
  ],
  [
    "nobody wants any",
    { maxUnavailable: 1 },
    pods(3),
    0,
    { desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 },
  ],
  ["no Pods", { minAvailable: 0 }, [], 0, { desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 }],
])("%s", (_what, spec, of, scale, expected) => {
  expect(decideBudget(budget(spec), of, scale, NOW).status).toMatchObject({ observedGeneration: 2, ...expected });
});

test("a granted eviction counts until its Pod goes, or two minutes", () => {
  const granted = budget(
    { minAvailable: 1 },
    { disruptedPods: { p0: new Date(NOW - 30_000).toISOString(), gone: new Date(NOW).toISOString() } },
  );
  const { status, again } = decideBudget(granted, pods(3), 3, NOW);
  expect(status).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 1, disruptedPods: { p0: expect.any(String) } });
  expect(Object.keys(status.disruptedPods ?? {})).toEqual(["p0"]);
  expect(again).toBe(90_000);
  expect(decideBudget(granted, pods(3), 3, NOW + 100_000).status).toMatchObject({
    currentHealthy: 3,
    disruptionsAllowed: 2,
  });
});

test("the status follows the Pods of a Deployment", async () => {
  cluster = new TestCluster({
    controllers: ["disruption-controller", "deployment-controller", "replicaset-controller"],
  });
  cluster.start();
  await cluster.create(kinds.podDisruptionBudgets, {
    metadata: { name: "b" },
    spec: { maxUnavailable: 1, selector: { matchLabels: { app: "w" } } },
  });
  await cluster.create(kinds.deployments, {
    metadata: { name: "w" },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "w" } },
      template: { metadata: { labels: { app: "w" } }, spec: { containers: [{ name: "c", image: "i" }] } },
    },
  });
  await cluster.clock.advance(10_000);
  expect(cluster.one(kinds.podDisruptionBudgets, "b").status).toMatchObject({
    expectedPods: 3,
    currentHealthy: 3,
    desiredHealthy: 2,
    disruptionsAllowed: 1,
    conditions: [{ type: "DisruptionAllowed", status: "True", reason: "SufficientPods" }],
  });
  const before = cluster.client.writes.length;
  await cluster.clock.advance(3_600_000);
  expect(cluster.client.writes.slice(before)).toEqual([]);
  await cluster.patch(kinds.deployments, "w", { spec: { replicas: 5 } });
  await cluster.clock.advance(100);
  expect(cluster.one(kinds.podDisruptionBudgets, "b").status).toMatchObject({
    expectedPods: 5,
    currentHealthy: 3,
    disruptionsAllowed: 0,
  });
});

test("what nobody manages, or cannot be asked for its scale, is given up for nobody", async () => {
  const of = (cluster = new TestCluster({ controllers: ["disruption-controller", "job-controller"] }));
  of.start();
  const budget = (name: string): Promise<unknown> =>
    of.create(kinds.podDisruptionBudgets, {
      metadata: { name },
      spec: { maxUnavailable: 1, selector: { matchLabels: { app: name } } },
    });
  await Promise.all([budget("lone"), budget("job"), budget("none")]);
  await of.clock.advance(100);
  await of.create(kinds.pods, { metadata: { name: "lone", labels: { app: "lone" } }, spec: { containers: [] } });
  await of.create(kinds.jobs, {
    metadata: { name: "job" },
    spec: {
      selector: { matchLabels: { app: "job" } },
      template: { metadata: { labels: { app: "job" } }, spec: { containers: [] } },
    },
  });
  await of.clock.advance(5000);
  const told = (name: string): string[] =>
    of
      .all(kinds.events)
      .filter(({ involvedObject }) => (involvedObject as { kind: string; name: string }).name === name)
      .map(({ reason }) => String(reason));
  expect(told("none")).toEqual(["NoPods"]);
  expect(told("lone")).toEqual(["NoPods", "UnmanagedPods"]);
  expect(told("job")).toContain("CalculateExpectedPodCountFailed");
  expect(of.one(kinds.podDisruptionBudgets, "job").status).toMatchObject({
    disruptionsAllowed: 0,
    conditions: [
      { status: "False", reason: "SyncFailed", message: "jobs.batch does not implement the scale subresource" },
    ],
  });
});

test("a Pod that was marked for a disruption which does not come loses the mark", async () => {
  const of = (cluster = new TestCluster({ controllers: ["disruption-controller"] }));
  of.start();
  await of.create(kinds.pods, { metadata: { name: "p" }, spec: { containers: [] } });
  await of.clock.advance(2000);
  const lastTransitionTime = new Date(of.clock.now()).toISOString();
  const conditions = [
    { type: "DisruptionTarget", status: "True", reason: "EvictionByEvictionAPI", lastTransitionTime },
  ];
  await of.patch(kinds.pods, "p", { status: { conditions } }, "status");
  const mark = (): unknown => (of.one(kinds.pods, "p").status as { conditions: unknown[] }).conditions[0];
  await of.clock.advance(110_000);
  expect(mark()).toMatchObject({ status: "True" });
  await of.clock.advance(20_000);
  expect(mark()).toMatchObject({ type: "DisruptionTarget", status: "False" });
});

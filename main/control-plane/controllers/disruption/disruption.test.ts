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
  [
    string,
    object,
    Pod[],
    number | undefined,
    { desiredHealthy: number; disruptionsAllowed: number; expectedPods: number },
  ]
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
    "nobody says how many",
    { maxUnavailable: 1 },
    pods(3),
    undefined,
    { desiredHealthy: 2, disruptionsAllowed: 1, expectedPods: 3 },
  ],
  ["no Pods", { minAvailable: 0 }, [], undefined, { desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 }],
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

import { expect, test } from "vitest";
import type { Pod } from "../../../../common/kube/types.ts";
import { proportionalSizes, resolve, rollingBounds } from "../deployment/arithmetic.ts";
import { slowStart } from "../kernel/pods.ts";
import { decideScaling, decideStatus, nextAvailable } from "./decide.ts";
import { DELETION_COST, deletionOrder } from "./deletion-order.ts";

const NOW = Date.UTC(2026, 0, 2);
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();

interface Wish {
  node?: string;
  phase?: "Pending" | "Running";
  readySince?: number;
  cost?: string;
  restarts?: number;
  age?: number;
}

function pod(
  name: string,
  { node = "n1", phase = "Running", readySince = 3600, cost, restarts = 0, age = 7200 }: Wish = {},
): Pod {
  const ready = phase === "Running" && readySince > 0;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      uid: name,
      labels: { app: "a" },
      creationTimestamp: ago(age),
      ...(cost === undefined ? {} : { annotations: { [DELETION_COST]: cost } }),
    },
    spec: { containers: [], ...(node === "" ? {} : { nodeName: node }) },
    status: {
      phase,
      conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime: ago(readySince) }],
      containerStatuses: [{ name: "c", image: "", imageID: "", ready, restartCount: restarts }],
    },
  };
}

test.each<[string, Wish, Wish]>([
  ["not assigned", { node: "", phase: "Pending" }, { phase: "Pending" }],
  ["Pending", { phase: "Pending" }, {}],
  ["not ready", { readySince: 0 }, {}],
  ["cheaper", { cost: "-5" }, {}],
  ["ready for less time", { readySince: 60 }, { readySince: 600 }],
  ["restarted more often", { restarts: 3 }, {}],
  ["younger", { age: 100 }, { age: 10_000 }],
])("%s goes first", (_what, first, second) => {
  const pods = [pod("b", second), pod("a", first)];
  expect(deletionOrder(pods, pods, NOW).map(({ metadata }) => metadata.name)).toEqual(["a", "b"]);
});

test("of crowded nodes one goes first, siblings counted", () => {
  const [a, b, sibling] = [pod("a", { node: "n1" }), pod("b", { node: "n2" }), pod("s", { node: "n2" })];
  expect(deletionOrder([a, b], [a, b, sibling], NOW)[0]?.metadata.name).toBe("b");
});

test("how many Pods are made or go", () => {
  const pods = [pod("a"), pod("b"), pod("c")];
  expect(decideScaling(5, pods, pods, NOW)).toEqual({ create: 2, remove: [] });
  expect(decideScaling(3, pods, pods, NOW)).toEqual({ create: 0, remove: [] });
  expect(decideScaling(1, pods, pods, NOW).remove).toHaveLength(2);
  expect(decideScaling(2000, [], [], NOW).create).toBe(500);
});

test("status: counts, minReadySeconds, and a failure that stays as first told", () => {
  const active = [pod("a", { readySince: 5 }), pod("b", { readySince: 100 }), pod("c", { readySince: 0 })];
  const input = {
    generation: 3,
    replicas: 3,
    minReadySeconds: 30,
    templateLabels: { app: "a" },
    active,
    terminating: 0,
    old: undefined,
    failure: undefined,
    nowMillis: NOW,
  };
  expect(decideStatus(input)).toEqual({
    replicas: 3,
    fullyLabeledReplicas: 3,
    readyReplicas: 2,
    availableReplicas: 1,
    terminatingReplicas: 0,
    observedGeneration: 3,
  });
  expect(nextAvailable(active, 30, NOW)).toBe(25_000);
  const failed = decideStatus({ ...input, failure: { reason: "FailedCreate", message: "no quota" } });
  const later = decideStatus({
    ...input,
    old: failed,
    failure: { reason: "FailedCreate", message: "still no quota" },
    nowMillis: NOW + 5000,
  });
  expect(later.conditions).toEqual(failed.conditions);
  expect(decideStatus({ ...input, old: failed }).conditions).toBeUndefined();
});

test("slow start: 1, 2, 4, …, and no further batch after a failure", async () => {
  const tried: number[] = [];
  const result = await slowStart(
    Array.from({ length: 20 }, (_, at) => at),
    async (at) => {
      tried.push(at);
      if (at === 4) throw new Error("full");
    },
  );
  expect(tried).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(result).toMatchObject({ done: 6, error: new Error("full") });
});

test.each([
  ["25%", 10, "up", 3],
  ["25%", 10, "down", 2],
  [2, 10, "up", 2],
  ["100%", 7, "down", 7],
  ["nonsense", 7, "up", 0],
] as const)("%s of %i rounded %s is %i", (value, total, round, expected) => {
  expect(resolve(value, total, round)).toBe(expected);
});

test("a rollout can always move", () => {
  expect(rollingBounds(0, 0, 3)).toEqual({ surge: 0, unavailable: 1 });
  expect(rollingBounds(undefined, undefined, 4)).toEqual({ surge: 1, unavailable: 1 });
  expect(rollingBounds("10%", "10%", 3)).toEqual({ surge: 1, unavailable: 0 });
});

test.each([
  // sizes, the max-replicas they were scaled for, the new wanted number, surge, expected
  [[10], 10, 20, 0, [20]],
  [[5, 5], 10, 20, 0, [10, 10]],
  [[8, 2], 10, 5, 0, [4, 1]],
  [[5, 5], 10, 0, 0, [0, 0]],
  [[10, 3], 13, 30, 3, [25, 8]],
  [[2, 1], 3, 4, 0, [3, 1]],
])("sizes %j scaled for %i become for %i (surge %i): %j", (sizes, maxReplicas, replicas, surge, expected) => {
  const sets = sizes.map((size, at) => ({ name: `s${at}`, replicas: size, maxReplicas, createdMillis: at }));
  const result = proportionalSizes(sets, replicas, surge, maxReplicas);
  expect(sets.map(({ name }) => result.get(name))).toEqual(expected);
});

import { describe, expect, it } from "vitest";
import type { Pod } from "../../../../common/kube/types.ts";
import { limitChange } from "./behavior.ts";
import type { Memory } from "./behavior.ts";
import { MetricUnavailable, proposeReplicas } from "./replicas.ts";
import type { Measured, ReplicasInput } from "./replicas.ts";
import type { Autoscaler, MetricTarget } from "./types.ts";

const NOW = Date.UTC(2026, 0, 1);
const LONG_AGO = new Date(NOW - 3_600_000).toISOString();

function pod(name: string, state: "ready" | "unready" | "pending" | "young" = "ready", request = "100m"): Pod {
  const at = state === "young" ? new Date(NOW - 10_000).toISOString() : LONG_AGO;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { containers: [{ name: "app", resources: { requests: { cpu: request } } }] },
    status: {
      phase: state === "pending" ? "Pending" : "Running",
      startTime: at,
      conditions: [{ type: "Ready", status: state === "unready" ? "False" : "True", lastTransitionTime: at }],
    },
  } as unknown as Pod;
}
const uses = (cpu: string): Measured => ({ at: NOW, windowMillis: 15_000, containers: new Map([["app", { cpu }]]) });

function propose(
  pods: Pod[],
  usage: Record<string, string>,
  target: MetricTarget = { type: "Utilization", averageUtilization: 50 },
): number {
  const input: ReplicasInput = {
    metric: { resource: "cpu", target },
    current: pods.length,
    pods,
    measured: new Map(Object.entries(usage).map(([name, cpu]) => [name, uses(cpu)])),
    nowMillis: NOW,
    tolerance: { up: 0.1, down: 0.1 },
  };
  return proposeReplicas(input).replicas;
}

describe("how many Pods a usage calls for", () => {
  const two = [pod("a"), pod("b")];
  it.each([
    ["twice the target: twice as many", two, { a: "100m", b: "100m" }, 4],
    ["a little above is left alone", two, { a: "54m", b: "54m" }, 2],
    ["half the target: half as many", two, { a: "25m", b: "25m" }, 1],
    ["a Pod that is not measured counts as full when scaling down", two, { a: "10m" }, 2],
    ["and as idle when scaling up", two, { a: "150m" }, 3],
    ["one that waits for a node counts as idle when scaling up", [pod("a"), pod("b", "pending")], { a: "150m" }, 3],
    [
      "what is measured of a Pod that has just started is not load",
      [pod("a"), pod("b", "young")],
      { a: "50m", b: "900m" },
      2,
    ],
  ] as const)("%s", (_name, pods, usage, replicas) => {
    expect(propose([...pods], usage)).toBe(replicas);
  });

  it("works on absolute averages too", () => {
    expect(propose(two, { a: "90m", b: "90m" }, { type: "AverageValue", averageValue: "60m" })).toBe(3);
  });

  it("says what is missing", () => {
    expect(() => propose(two, {})).toThrow(
      new MetricUnavailable("unable to get metrics for resource cpu: no metrics returned from resource metrics API"),
    );
    expect(() => propose([pod("a", "unready")], { a: "1m" })).toThrow(
      new MetricUnavailable("did not receive metrics for targeted pods (pods might be unready)"),
    );
    const silent: Pod = { ...pod("a"), spec: { containers: [{ name: "app" }] } };
    expect(() => propose([silent], { a: "1m" })).toThrow("missing request for cpu in container app of Pod a");
  });
});

describe("how fast a wish comes true", () => {
  const autoscaler = (behavior?: object, bounds: object = {}): Autoscaler =>
    ({ metadata: {}, spec: { scaleTargetRef: {}, maxReplicas: 100, ...bounds, behavior } }) as unknown as Autoscaler;
  const memory = (): Memory => ({ wishes: [], added: [], removed: [] });

  it("doubles, or adds four, in fifteen seconds where a behaviour leaves that open", () => {
    expect(limitChange(autoscaler({}), 1, 50, memory(), NOW)).toMatchObject({
      replicas: 5,
      limited: { reason: "ScaleUpLimit" },
    });
    expect(limitChange(autoscaler({}), 10, 50, memory(), NOW).replicas).toBe(20);
    const busy: Memory = { ...memory(), added: [{ atMillis: NOW - 5_000, replicas: 10 }] };
    expect(limitChange(autoscaler({}), 20, 50, busy, NOW).replicas).toBe(20);
  });

  it("doubles, or goes to four, at each look where no behaviour is said", () => {
    expect(limitChange(autoscaler(), 1, 50, memory(), NOW)).toMatchObject({
      replicas: 4,
      limited: { reason: "ScaleUpLimit" },
    });
    expect(limitChange(autoscaler(), 3, 50, memory(), NOW).replicas).toBe(6);
    const busy: Memory = { ...memory(), added: [{ atMillis: NOW - 5_000, replicas: 10 }] };
    expect(limitChange(autoscaler(), 20, 50, busy, NOW).replicas).toBe(40);
  });

  it("goes down to the highest wish of the last five minutes", () => {
    const kept: Memory = { ...memory(), wishes: [{ atMillis: NOW - 200_000, replicas: 7 }] };
    expect(limitChange(autoscaler(), 10, 2, kept, NOW)).toMatchObject({
      replicas: 7,
      able: { reason: "ScaleDownStabilized" },
    });
    expect(limitChange(autoscaler(), 10, 2, { ...kept }, NOW + 400_000).replicas).toBe(2);
  });

  it("follows the policies it is given", () => {
    const slow = autoscaler({
      scaleDown: { stabilizationWindowSeconds: 0, policies: [{ type: "Pods", value: 1, periodSeconds: 60 }] },
      scaleUp: { selectPolicy: "Disabled" },
    });
    expect(limitChange(slow, 10, 2, memory(), NOW)).toMatchObject({
      replicas: 9,
      limited: { reason: "ScaleDownLimit" },
    });
    expect(limitChange(slow, 10, 20, memory(), NOW).replicas).toBe(10);
  });

  it("stays within its bounds and says so", () => {
    expect(limitChange(autoscaler(undefined, { maxReplicas: 6 }), 5, 50, memory(), NOW)).toMatchObject({
      replicas: 6,
      limited: { status: "True", reason: "TooManyReplicas" },
    });
    expect(limitChange(autoscaler(undefined, { minReplicas: 3 }), 4, 1, memory(), NOW)).toMatchObject({
      replicas: 3,
      limited: { reason: "TooFewReplicas" },
    });
    expect(limitChange(autoscaler(), 4, 4, memory(), NOW)).toMatchObject({
      replicas: 4,
      able: { reason: "ReadyForNewScale" },
      limited: { status: "False", reason: "DesiredWithinRange" },
    });
  });
});

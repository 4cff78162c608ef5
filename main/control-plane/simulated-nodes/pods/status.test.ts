import { describe, expect, it } from "vitest";
import type { ContainerStatus, Pod } from "../../../../common/kube/types.ts";
import { draw } from "../rules/chance.ts";
import { resolve } from "../rules/resolve.ts";
import { PodBehaviour } from "../rules/schema.ts";
import { decidePod } from "./status.ts";

const START = Date.UTC(2030, 0, 1);

type Spec = Record<string, unknown>;

/** Lives a Pod's life: looks whenever something is due, and tells what it saw, second by second where it changed. */
function live(
  { spec = {}, rule = {}, job = false, seed = 0 }: { spec?: Spec; rule?: object; job?: boolean; seed?: number },
  seconds: number,
  tell: (pod: Pod) => string = summary,
): string[] {
  let pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "web",
      namespace: "default",
      uid: "u1",
      ...(job
        ? { ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name: "j", uid: "j", controller: true }] }
        : {}),
    },
    spec: { nodeName: "n", restartPolicy: job ? "Never" : "Always", containers: [{ name: "c", image: "i" }], ...spec },
    status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "True" }] },
  } as unknown as Pod;
  const behaviour = resolve(pod, undefined, PodBehaviour.parse(rule));
  const moments = new Map<string, number>();
  const told: string[] = [];
  let looks = 0;
  for (let now = START; now <= START + seconds * 1000;) {
    const decision = decidePod({
      pod,
      behaviour,
      addresses: { pod: "10.244.1.2", host: "198.18.0.1" },
      now,
      moments,
      chance: (question) => draw(seed, question),
    });
    if (decision.kind !== "run") break;
    pod = { ...pod, status: JSON.parse(JSON.stringify(decision.status)) };
    const line = `${(now - START) / 1000}s ${tell(pod)}`;
    if (told.at(-1)?.replace(/^\S+ /, "") !== line.replace(/^\S+ /, "")) told.push(line);
    if (decision.again === undefined) break;
    now += decision.again;
    looks += 1;
  }
  // Nothing is looked at more often than it changes.
  expect(looks).toBeLessThanOrEqual(told.length + 2);
  return told;
}

function stateOf({ state, restartCount, ready }: ContainerStatus): string {
  const end = state?.terminated;
  const word = state?.running
    ? ready
      ? "ready"
      : "running"
    : end
      ? `${end.reason}(${end.exitCode})`
      : (state?.waiting?.reason ?? "?");
  return restartCount > 0 ? `${word}#${restartCount}` : word;
}

function summary({ status }: Pod): string {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return `${status?.phase} ${all.map((one) => `${one.name}=${stateOf(one)}`).join(" ")}`;
}

const INIT = { initContainers: [{ name: "i1" }, { name: "i2" }] };
const SIDECAR = { initContainers: [{ name: "side", restartPolicy: "Always" }] };

describe("a Pod's life", () => {
  it.each<[string, Parameters<typeof live>[0], number, string[]]>([
    ["runs, when nothing is said", {}, 3600, ["0s Running c=ready"]],
    ["finishes, when it is a Job's", { job: true }, 60, ["0s Running c=ready", "1s Succeeded c=Completed(0)"]],
    ["starts late", { rule: { start: "3s" } }, 60, ["0s Pending c=ContainerCreating", "3s Running c=ready"]],
    [
      "runs its init containers in order",
      { spec: INIT, rule: { init: "2s" } },
      60,
      [
        "0s Pending i1=running i2=PodInitializing c=PodInitializing",
        "2s Pending i1=Completed(0) i2=running c=PodInitializing",
        "4s Running i1=Completed(0) i2=Completed(0) c=ready",
      ],
    ],
    [
      "fails with an init container that must not be restarted",
      { spec: { ...INIT, restartPolicy: "Never" }, rule: { containers: { i1: { run: "1s", exitCode: 4 } } } },
      60,
      [
        "0s Pending i1=running i2=PodInitializing c=PodInitializing",
        "1s Failed i1=Error(4) i2=ContainerStatusUnknown(137) c=PodInitializing",
      ],
    ],
    [
      "starts its sidecars first, and ends them last",
      { job: true, spec: SIDECAR, rule: { run: "2s", containers: { side: { ready: "1s" } } } },
      60,
      [
        "0s Running side=running c=ready",
        "1s Running side=ready c=ready",
        "2s Succeeded side=Completed(0) c=Completed(0)",
      ],
    ],
    [
      "waits for a sidecar's startup probe",
      {
        spec: { initContainers: [{ name: "side", restartPolicy: "Always", startupProbe: { periodSeconds: 5 } }] },
        rule: { containers: { side: { ready: "7s" } } },
      },
      60,
      ["0s Pending side=running c=PodInitializing", "10s Running side=ready c=ready"],
    ],
    [
      "is ready when its probe has looked often enough",
      {
        spec: {
          containers: [
            { name: "c", readinessProbe: { initialDelaySeconds: 5, periodSeconds: 2, successThreshold: 3 } },
          ],
        },
      },
      60,
      ["0s Running c=running", "9s Running c=ready"],
    ],
    ["is never ready when told so", { rule: { ready: "never" } }, 3600, ["0s Running c=running"]],
    [
      "is restarted with back-off: at once, then 10 s, 20 s, 40 s after its end",
      { rule: { run: "1s", exitCode: 1 } },
      80,
      [
        "0s Running c=ready",
        "1s Running c=ready#1",
        "2s Running c=CrashLoopBackOff#1",
        "12s Running c=ready#2",
        "13s Running c=CrashLoopBackOff#2",
        "33s Running c=ready#3",
        "34s Running c=CrashLoopBackOff#3",
        "74s Running c=ready#4",
        "75s Running c=CrashLoopBackOff#4",
      ],
    ],
    [
      "is not restarted after success, where only failures are",
      { spec: { restartPolicy: "OnFailure" }, rule: { run: "1s" } },
      80,
      ["0s Running c=ready", "1s Succeeded c=Completed(0)"],
    ],
    [
      "is restarted by the container's own rule",
      {
        spec: {
          restartPolicy: "Never",
          containers: [
            {
              name: "c",
              restartPolicy: "Never",
              restartPolicyRules: [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }],
            },
          ],
        },
        rule: { run: "1s", exitCode: 42 },
      },
      5,
      ["0s Running c=ready", "1s Running c=ready#1", "2s Running c=CrashLoopBackOff#1"],
    ],
    [
      "starts all over, init containers too, when a container ends as its rule says; with back-off",
      {
        spec: {
          restartPolicy: "Never",
          initContainers: [{ name: "i" }],
          containers: [
            { name: "c" },
            {
              name: "w",
              restartPolicy: "Never",
              restartPolicyRules: [{ action: "RestartAllContainers", exitCodes: { operator: "In", values: [88] } }],
            },
          ],
        },
        rule: { init: "2s", containers: { w: { run: "3s", exitCode: 88 } } },
      },
      25,
      [
        "0s Pending i=running c=PodInitializing w=PodInitializing",
        "2s Running i=Completed(0) c=ready w=ready",
        "5s Pending i=Completed(0) c=Error(137) w=Error(88)",
        "6s Pending i=running#1 c=PodInitializing#1 w=PodInitializing#1",
        "8s Running i=Completed(0)#1 c=ready#1 w=ready#1",
        "11s Pending i=Completed(0)#1 c=Error(137)#1 w=Error(88)#1",
        "21s Pending i=running#2 c=PodInitializing#2 w=PodInitializing#2",
        "23s Running i=Completed(0)#2 c=ready#2 w=ready#2",
      ],
    ],
    [
      "fails as told, each time when the probability is 1",
      { spec: { restartPolicy: "Never" }, rule: { fail: { after: "4s", exitCode: 137, reason: "OOMKilled" } } },
      60,
      ["0s Running c=ready", "4s Failed c=OOMKilled(137)"],
    ],
    [
      "cannot be started for a while",
      { rule: { startFailure: { reason: "ErrImagePull", for: "30s" } } },
      60,
      ["0s Pending c=ErrImagePull", "30s Running c=ready"],
    ],
    [
      "is ended at its deadline",
      { spec: { activeDeadlineSeconds: 5 } },
      60,
      ["0s Running c=ready", "5s Failed c=Error(143)"],
    ],
    [
      "loses and gains readiness, and is evicted, by stages",
      {
        rule: {
          stages: [
            { after: "5s", ready: false },
            { after: "8s", ready: true },
            { after: "10s", phase: "Failed", reason: "Evicted" },
          ],
        },
      },
      60,
      ["0s Running c=ready", "5s Running c=running", "8s Running c=ready", "10s Failed c=Error(143)"],
    ],
  ])("%s", (_, given, seconds, expected) => {
    expect(live(given, seconds)).toEqual(expected);
  });

  it("says in conditions what its phase and containers mean", () => {
    const conditions = ({ status }: Pod): string =>
      (status?.conditions ?? [])
        .map(({ type, status: is, reason }) => `${type}=${is}${reason ? `(${reason})` : ""}`)
        .join(" ");
    expect(live({ job: true, rule: { ready: "500ms" } }, 10, conditions)).toEqual([
      "0s PodReadyToStartContainers=True Initialized=True Ready=False(ContainersNotReady) ContainersReady=False(ContainersNotReady) PodScheduled=True",
      "0.5s PodReadyToStartContainers=True Initialized=True Ready=True ContainersReady=True PodScheduled=True",
      "1s PodReadyToStartContainers=False Initialized=True Ready=False(PodCompleted) ContainersReady=False(PodCompleted) PodScheduled=True",
    ]);
  });

  it("says in a condition that all its containers are started again", () => {
    const rules = [{ action: "RestartAllContainers", exitCodes: { operator: "NotIn", values: [0] } }];
    const spec = {
      initContainers: [{ name: "side", restartPolicy: "Always", restartPolicyRules: rules }],
      restartPolicy: "Never",
    };
    const conditions = ({ status }: Pod): string =>
      (status?.conditions ?? [])
        .filter(({ type }) => type === "AllContainersRestarting" || type === "Ready")
        .map(({ type, status: is, reason = "" }) => `${type}=${is} ${reason}`)
        .join(" ");
    const rule = { run: "6s", containers: { side: { fail: { after: "4s" } } } };
    expect(live({ spec, rule }, 5.5, conditions)).toEqual([
      "0s Ready=True  AllContainersRestarting=False ",
      "4s Ready=False ContainersNotReady AllContainersRestarting=True RestartAllContainersStarted",
      "5s Ready=True  AllContainersRestarting=False ",
    ]);
  });

  it("sets the conditions of stages, and honours readiness gates by them", () => {
    const gate = "example.com/gate";
    const ready = ({ status }: Pod): string =>
      ["Ready", gate].map((type) => `${status?.conditions?.find((one) => one.type === type)?.status}`).join(" ");
    const spec = { readinessGates: [{ conditionType: gate }] };
    const stages = [{ after: "3s", conditions: [{ type: gate, status: "True" }] }];
    expect(live({ spec, rule: { stages } }, 10, ready)).toEqual(["0s False undefined", "3s True True"]);
  });

  it("draws the same lots for the same seed, and others for another", () => {
    const rule = { run: "1s", fail: { probability: 0.5 }, restart: { first: "1s", max: "1s" } };
    const lives = [1, 1, 2].map((seed) => live({ spec: { restartPolicy: "OnFailure" }, rule, seed }, 600).at(-1));
    expect(lives[0]).toBe(lives[1]);
    const counts = Array.from({ length: 200 }, (_, seed) =>
      live({ spec: { restartPolicy: "Never" }, rule, seed }, 10)
        .at(-1)
        ?.includes("Failed"),
    );
    const failed = counts.filter(Boolean).length;
    expect(failed).toBeGreaterThan(70);
    expect(failed).toBeLessThan(130);
  });
});

describe("a deleted Pod", () => {
  const deleted = (grace: number, elapsed: number, rule: object = {}, phase = "Running") => {
    const pod = {
      metadata: {
        name: "web",
        namespace: "default",
        uid: "u1",
        deletionTimestamp: new Date(START + grace * 1000).toISOString(),
        deletionGracePeriodSeconds: grace,
      },
      spec: { nodeName: "n", containers: [{ name: "c" }] },
      status: {
        phase,
        startTime: new Date(START - 60_000).toISOString(),
        containerStatuses: [{ name: "c", state: { running: { startedAt: new Date(START - 60_000).toISOString() } } }],
      },
    } as unknown as Pod;
    return decidePod({
      pod,
      behaviour: resolve(pod, undefined, PodBehaviour.parse(rule)),
      addresses: { pod: "p", host: "h" },
      now: START + elapsed * 1000,
      moments: new Map([["deleted", START]]),
      chance: () => 0,
    });
  };

  it.each([
    ["goes on for a second", 30, 0.5, {}, { kind: "run", again: 500 }],
    ["is gone then, ended by SIGTERM", 30, 1, {}, { kind: "remove", status: { phase: "Failed" } }],
    ["takes as long as it is told", 30, 9, { terminate: "10s" }, { kind: "run", again: 1000 }],
    ["but no longer than its grace period", 5, 5, { terminate: "10s" }, { kind: "remove" }],
  ])("%s", (_, grace, elapsed, rule, expected) => {
    expect(deleted(grace, elapsed, rule)).toMatchObject(expected);
  });

  it("that was finished goes without another word; one that finalizers hold is left alone", () => {
    expect(deleted(30, 0, {}, "Succeeded")).toEqual({ kind: "remove", status: undefined });
    expect(deleted(0, 0, {}, "Succeeded")).toEqual({ kind: "nothing" });
  });
});

import { describe, expect, it } from "vitest";
import type { Pod, PodStatus } from "../../../common/kube/types.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { viewOf } from "./pod.ts";
import { LABEL_GENERATION } from "./restart-all.ts";
import { podStatus } from "./status.ts";
import type { StatusInput } from "./status.ts";

const NOW = Date.parse("2026-05-01T10:00:00Z");

function runtimeContainer(name: string, attempt: number, more: Partial<RuntimeContainer>): RuntimeContainer {
  return {
    id: `${name}-${attempt}`,
    name: { container: name, pod: "p", namespace: "n", uid: "u", attempt },
    state: "running",
    sandboxId: name === "POD" ? "" : "POD-0",
    pid: 1,
    exitCode: 0,
    oomKilled: false,
    error: "",
    createdAt: NOW - 5000 + attempt,
    startedAt: NOW - 4000,
    finishedAt: 0,
    image: "i",
    imageId: "sha256:1",
    labels: {},
    tty: false,
    stopSignal: "SIGTERM",
    logPath: "",
    layerPath: "",
    resources: { oomScoreAdjust: 0 },
    ...more,
  };
}

function status(spec: object, containers: RuntimeContainer[], more: Partial<StatusInput> = {}): PodStatus {
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "n", uid: "u" },
    spec: { containers: [{ name: "a", image: "i" }], ...spec },
  } as unknown as Pod;
  const running = (name: string): boolean =>
    containers.some((container) => container.name?.container === name && container.state === "running");
  return podStatus({
    pod,
    previous: undefined,
    view: viewOf(containers),
    probes: { started: running, ready: running, failed: () => undefined },
    waiting: new Map(),
    podIP: "10.244.1.2",
    hostIP: "10.240.0.21",
    resized: () => true,
    imageNames: () => ({ name: "i:1", digest: "" }),
    terminationMessage: () => "",
    ended: undefined,
    terminating: false,
    now: NOW,
    ...more,
  });
}

const condition = (of: PodStatus, type: string): string => {
  const found = of.conditions?.find((candidate) => candidate.type === type);
  return `${found?.status} ${found?.reason ?? ""} ${found?.message ?? ""}`.trim();
};
const SANDBOX = runtimeContainer("POD", 0, { createdAt: NOW - 9000 });
const exited = (code: number, more: Partial<RuntimeContainer> = {}): Partial<RuntimeContainer> => ({
  state: "exited",
  exitCode: code,
  finishedAt: NOW - 1000,
  ...more,
});

describe("podStatus", () => {
  it("is Pending while containers are made", () => {
    const result = status({}, []);
    expect(result.phase).toBe("Pending");
    expect(result.containerStatuses?.[0]?.state).toEqual({ waiting: { reason: "ContainerCreating" } });
    expect(condition(result, "Ready")).toBe("False ContainersNotReady containers with unready status: [a]");
    expect(condition(result, "PodScheduled")).toBe("True");
  });

  it("is Running and Ready", () => {
    const result = status({}, [SANDBOX, runtimeContainer("a", 0, {})]);
    expect(result.phase).toBe("Running");
    expect(condition(result, "Ready")).toBe("True");
    expect(condition(result, "PodReadyToStartContainers")).toBe("True");
    expect(result.containerStatuses?.[0]).toMatchObject({
      ready: true,
      started: true,
      restartCount: 0,
      image: "i:1",
      state: { running: { startedAt: "2026-05-01T09:59:56Z" } },
    });
  });

  it("waits in CrashLoopBackOff with the last end beside it", () => {
    const waiting = new Map([["a", { reason: "CrashLoopBackOff", message: "back-off 10s" }]]);
    const result = status({}, [SANDBOX, runtimeContainer("a", 1, exited(1))], { waiting });
    expect(result.phase).toBe("Running");
    expect(result.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { waiting: { reason: "CrashLoopBackOff" } },
      lastState: { terminated: { exitCode: 1, reason: "Error" } },
    });
  });

  it.each([
    ["Succeeded", "Never", 0],
    ["Failed", "Never", 1],
    ["Succeeded", "OnFailure", 0],
    ["Running", "OnFailure", 1],
    ["Running", "Always", 0],
  ])("is %s with %s and exit code %i", (phase, restartPolicy, code) => {
    expect(status({ restartPolicy }, [SANDBOX, runtimeContainer("a", 0, exited(code))]).phase).toBe(phase);
  });

  it("says why a container ended", () => {
    const reason = (more: Partial<RuntimeContainer>): string | undefined =>
      status({}, [SANDBOX, runtimeContainer("a", 0, more)]).containerStatuses?.[0]?.state?.terminated?.reason;
    expect(reason(exited(137, { oomKilled: true }))).toBe("OOMKilled");
    expect(reason(exited(0))).toBe("Completed");
    expect(reason(exited(2))).toBe("Error");
    expect(reason({ state: "created", error: "exec: not found" })).toBe("StartError");
  });

  it("tells of init containers", () => {
    const spec = { initContainers: [{ name: "i", image: "i" }] };
    const before = status(spec, [SANDBOX, runtimeContainer("i", 0, {})]);
    expect(before.containerStatuses?.[0]?.state?.waiting?.reason).toBe("PodInitializing");
    expect(condition(before, "Initialized")).toBe(
      "False ContainersNotInitialized containers with incomplete status: [i]",
    );
    const after = status(spec, [SANDBOX, runtimeContainer("i", 0, exited(0)), runtimeContainer("a", 0, {})]);
    expect(condition(after, "Initialized")).toBe("True");
    expect(after.initContainerStatuses?.[0]).toMatchObject({
      ready: true,
      state: { terminated: { reason: "Completed" } },
    });
    expect(status({ ...spec, restartPolicy: "Never" }, [SANDBOX, runtimeContainer("i", 0, exited(1))]).phase).toBe(
      "Failed",
    );
  });

  it("keeps the time of a transition that was none", () => {
    const first = status({}, [SANDBOX, runtimeContainer("a", 0, {})], { now: NOW - 60_000 });
    const second = status({}, [SANDBOX, runtimeContainer("a", 0, {})], { previous: first });
    expect(second).toEqual(first);
  });

  it("keeps the address of a Pod that has ended, and of no other without a sandbox", () => {
    const previous = { podIP: "10.244.1.9" } as PodStatus;
    const ended = runtimeContainer("a", 0, { state: "exited" });
    expect(status({ restartPolicy: "Never" }, [ended], { previous, podIP: undefined }).podIP).toBe("10.244.1.9");
    expect(status({}, [], { previous, podIP: undefined }).podIP).toBeUndefined();
  });

  it("waits for readiness gates as the API has them, and leaves them to their owners", () => {
    const previous = {
      conditions: [{ type: "example.org/gate", status: "False", lastTransitionTime: "2026-05-01T09:00:00Z" }],
    } as PodStatus;
    const result = status(
      { readinessGates: [{ conditionType: "example.org/gate" }] },
      [SANDBOX, runtimeContainer("a", 0, {})],
      { previous },
    );
    expect(condition(result, "Ready")).toContain("ReadinessGatesNotReady");
    expect(condition(result, "ContainersReady")).toBe("True");
    expect(result.conditions?.some(({ type }) => type === "example.org/gate")).toBe(false);
  });
});

describe("a Pod whose containers all begin again", () => {
  const spec = {
    restartPolicy: "Never",
    containers: [
      {
        name: "a",
        image: "i",
        restartPolicy: "Never",
        restartPolicyRules: [{ action: "RestartAllContainers", exitCodes: { operator: "In", values: [42] } }],
      },
      { name: "b", image: "i" },
    ],
  };

  it("waits, remembers the ends, and has not failed", () => {
    const ends = [runtimeContainer("a", 0, exited(42)), runtimeContainer("b", 0, exited(137))];
    const after = status(spec, [SANDBOX, ...ends]);
    expect(after.phase).toBe("Running");
    expect(condition(after, "AllContainersRestarting")).toBe(
      "True RestartAllContainersStarted container exited with restart policy rule",
    );
    expect(
      after.containerStatuses?.map(({ state, lastState }) => [state?.waiting?.reason, lastState?.terminated?.exitCode]),
    ).toEqual([
      ["ContainerCreating", 42],
      ["ContainerCreating", 137],
    ]);
  });

  it("says when it is over", () => {
    const labels = { [LABEL_GENERATION]: "1" };
    const after = status(spec, [SANDBOX, runtimeContainer("a", 1, { labels }), runtimeContainer("b", 1, { labels })]);
    expect(condition(after, "AllContainersRestarting")).toBe("False");
    expect(after.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual([1, 1]);
  });
});

describe("a Pod that the node did not take", () => {
  const refusal = { reason: "OutOfpods", message: "Pod was rejected: …", rejected: true };

  it("has Failed, and nothing is told of containers that will never be", () => {
    const rejected = status({}, [], { ended: refusal, podIP: undefined });
    expect(rejected).toMatchObject({ phase: "Failed", reason: "OutOfpods", message: refusal.message });
    expect(rejected.containerStatuses).toBeUndefined();
  });

  it("stays so for an agent that was started since", () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p", namespace: "n", uid: "u" },
      spec: { containers: [{ name: "a", image: "i" }] },
      status: { phase: "Failed", reason: "OutOfpods", message: refusal.message },
    } as unknown as Pod;
    const again = status({}, [], { pod, previous: pod.status as PodStatus, podIP: undefined });
    expect(again).toMatchObject({ phase: "Failed", reason: "OutOfpods" });
    expect(again.containerStatuses).toBeUndefined();
  });
});

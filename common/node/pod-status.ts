/**
 * What a kubelet concludes from the states of a Pod's containers: its phase and its conditions. Shared by the
 * kubelet in a node and by the nodes that only pretend. Pure.
 */
import { timestamp } from "../kube/clock.ts";
import type { ContainerStatus, Pod, PodStatus } from "../kube/types.ts";
import { shouldRestart } from "./restart.ts";

export type Phase = NonNullable<PodStatus["phase"]>;
export type PodCondition = NonNullable<PodStatus["conditions"]>[number];
type RestartPolicy = "Always" | "OnFailure" | "Never";

const restartPolicy = (pod: Pod): RestartPolicy => (pod.spec?.restartPolicy as RestartPolicy | undefined) ?? "Always";

/** Of a Pod that was deleted, and of which nothing runs any more. */
export function finalPhase(pod: Pod, statuses: ReadonlyMap<string, ContainerStatus>): Phase {
  return (pod.spec?.containers ?? []).every(({ name }) => statuses.get(name)?.state?.terminated?.exitCode === 0)
    ? "Succeeded"
    : "Failed";
}

/** Of a Pod whose containers (all of them are in `statuses`) are in these states. */
export function phaseOf(
  pod: Pod,
  statuses: ReadonlyMap<string, ContainerStatus>,
  initFailed: boolean,
  waitsForInit: boolean,
): Phase {
  if (initFailed) return "Failed";
  if (waitsForInit) return "Pending";
  const policy = restartPolicy(pod);
  let waiting = 0;
  let running = 0;
  let restarting = 0;
  let stopped = 0;
  let succeeded = 0;
  for (const spec of pod.spec?.containers ?? []) {
    const { state, lastState } = statuses.get(spec.name) as ContainerStatus;
    if (state?.running) running++;
    else if (state?.terminated) {
      const { exitCode } = state.terminated;
      if (shouldRestart(spec, "regular", policy, exitCode)) restarting++;
      else {
        stopped++;
        if (exitCode === 0) succeeded++;
      }
    }
    // It waits to be started again, whatever the Pod's own policy: containers may have theirs.
    else if (state?.waiting && lastState?.terminated) restarting++;
    else waiting++;
  }
  if (waiting > 0) return "Pending";
  if (running + restarting > 0) return "Running";
  if (stopped > 0) return stopped === succeeded ? "Succeeded" : "Failed";
  return "Pending";
}

export interface ConditionsInput {
  pod: Pod;
  /** The status as last known: transition times are taken over from it. */
  previous: PodStatus | undefined;
  statuses: ReadonlyMap<string, ContainerStatus>;
  phase: string;
  /** So many of the init containers have done their part. */
  initialized: number;
  /** The sandbox runs and has its address. */
  sandboxReady: boolean;
  /** Conditions that only some Pods have (PodResizePending, DisruptionTarget). */
  further?: readonly Omit<PodCondition, "lastTransitionTime">[];
  now: number;
}

/** The kubelet's own conditions; others' are not among them. */
export function conditionsOf({
  pod,
  previous,
  statuses,
  phase,
  initialized,
  sandboxReady,
  further = [],
  now,
}: ConditionsInput): PodCondition[] {
  const init = pod.spec?.initContainers ?? [];
  const unready = (pod.spec?.containers ?? []).map(({ name }) => name).filter((name) => !statuses.get(name)?.ready);
  const unreadySidecars = init
    .filter((container) => container.restartPolicy === "Always" && !statuses.get(container.name)?.ready)
    .map(({ name }) => name);
  const uninitialized = init.slice(initialized).map(({ name }) => name);
  const known = (previous?.conditions ?? pod.status?.conditions ?? []) as PodCondition[];
  // Others write theirs to the API: only there is the newest.
  const foreign = (pod.status?.conditions ?? []) as PodCondition[];
  const notReady = [...unreadySidecars, ...unready];

  const ready = (type: string, extra: string[]): Omit<PodCondition, "lastTransitionTime"> => {
    if (phase === "Succeeded") return { type, status: "False", reason: "PodCompleted" };
    if (phase === "Failed") return { type, status: "False", reason: "PodFailed" };
    if (notReady.length > 0)
      return {
        type,
        status: "False",
        reason: "ContainersNotReady",
        message: `containers with unready status: [${notReady.join(" ")}]`,
      };
    if (extra.length > 0) return { type, status: "False", reason: "ReadinessGatesNotReady", message: extra.join(", ") };
    return { type, status: "True" };
  };
  const gates = (pod.spec?.readinessGates ?? []).flatMap((gate) => {
    const condition = foreign.find(({ type }) => type === gate.conditionType);
    if (!condition) return [`corresponding condition of pod readiness gate "${gate.conditionType}" does not exist.`];
    return condition.status === "True"
      ? []
      : [`the status of pod readiness gate "${gate.conditionType}" is not "True", but ${condition.status}`];
  });
  const ours: Omit<PodCondition, "lastTransitionTime">[] = [
    { type: "PodReadyToStartContainers", status: sandboxReady ? "True" : "False" },
    uninitialized.length === 0 || phase === "Succeeded"
      ? {
          type: "Initialized",
          status: "True",
          ...(phase === "Succeeded" && init.length > 0 ? { reason: "PodCompleted" } : {}),
        }
      : {
          type: "Initialized",
          status: "False",
          reason: "ContainersNotInitialized",
          message: `containers with incomplete status: [${uninitialized.join(" ")}]`,
        },
    ready("Ready", gates),
    ready("ContainersReady", []),
    { type: "PodScheduled", status: "True" },
    ...further,
  ];
  return ours.map((condition): PodCondition => {
    const old = known.find(({ type }) => type === condition.type);
    const same = old?.status === condition.status;
    const generation = pod.metadata.generation;
    return {
      ...condition,
      ...(generation ? { observedGeneration: generation } : {}),
      lastTransitionTime: same && old.lastTransitionTime ? old.lastTransitionTime : timestamp(now),
    } as PodCondition;
  });
}

/**
 * The status of a Pod as the API defines it, from what the runtime holds of it. Pure: the same input gives
 * the same status, and times of transition are taken over from the status before where nothing changed.
 */
import type { Container, ContainerStatus, Pod, PodStatus } from "../../../common/kube/types.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { initProgress } from "./decide.ts";
import type { ProbeView } from "./decide.ts";
import { allContainers, isExited, isSidecar, latest, qosClass, restartPolicy } from "./pod.ts";
import type { PodView } from "./pod.ts";

export interface StatusInput {
  pod: Pod;
  /** The status as last known: transition times, and restart counts of containers that were removed. */
  previous: PodStatus | undefined;
  view: PodView;
  probes: ProbeView & { ready(container: string): boolean };
  /** Why a container is not there yet: ErrImagePull, CrashLoopBackOff, CreateContainerConfigError … */
  waiting: ReadonlyMap<string, { reason: string; message: string }>;
  podIP: string | undefined;
  hostIP: string;
  /** Whether a running container has the limits of its spec. */
  resized(spec: Container, container: RuntimeContainer): boolean;
  /** Names and digest of an image by its id. */
  imageNames(id: string): { name: string; digest: string } | undefined;
  /** What a container wrote to its termination log. */
  terminationMessage(container: RuntimeContainer): string;
  /** Set when the kubelet ended the Pod itself: DeadlineExceeded, Evicted, NodeShutdown … */
  ended: { reason: string; message: string; evicted?: boolean } | undefined;
  /** Why the limits that are asked for are not in force (yet). */
  resizePending?: { reason: "Infeasible" | "Deferred"; message: string } | undefined;
  /** The Pod was deleted and nothing of it runs any more: this is its last status. */
  terminating: boolean;
  now: number;
}

type Condition = NonNullable<PodStatus["conditions"]>[number];

/** RFC 3339, whole seconds. */
export function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}

export function podStatus(input: StatusInput): PodStatus {
  const { pod, previous, now } = input;
  const statuses = new Map<string, ContainerStatus>();
  const newest = latest(input.view);
  const init = pod.spec?.initContainers ?? [];
  const progress = initProgress(pod, input.view, input.probes);
  const waitsForInit = progress.next < init.length;
  for (const { spec, kind } of allContainers(pod)) {
    statuses.set(spec.name, containerStatus(input, spec, newest.get(spec.name), kind === "regular" && waitsForInit));
  }
  const pick = (containers: { name: string }[] | undefined): ContainerStatus[] =>
    (containers ?? []).map((container) => statuses.get(container.name) as ContainerStatus);
  // What has ended stays ended, whatever an agent that was started since still knows of it.
  const ended = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed" ? pod.status : undefined;
  const { reason, message } = input.ended ?? ended ?? {};
  const phase = input.ended
    ? "Failed"
    : ended?.phase
      ? ended.phase
      : input.terminating
        ? finalPhase(pod, statuses)
        : phaseOf(pod, statuses, progress.failed, waitsForInit);
  const conditions = conditionsOf(input, statuses, phase, progress);
  const startTime = previous?.startTime ?? timestamp(now);
  // A Pod that has ended keeps the address that it had.
  const podIP = input.podIP ?? (phase === "Succeeded" || phase === "Failed" ? previous?.podIP : undefined);
  return {
    ...((pod.metadata.generation ?? 0) > 0 ? { observedGeneration: pod.metadata.generation as number } : {}),
    phase,
    conditions,
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
    hostIP: input.hostIP,
    hostIPs: [{ ip: input.hostIP }],
    ...(podIP === undefined ? {} : { podIP, podIPs: [{ ip: podIP }] }),
    startTime,
    qosClass: previous?.qosClass ?? qosClass(pod),
    ...(init.length > 0 ? { initContainerStatuses: pick(init) } : {}),
    containerStatuses: pick(pod.spec?.containers),
    ...((pod.spec?.ephemeralContainers?.length ?? 0) > 0
      ? { ephemeralContainerStatuses: pick(pod.spec?.ephemeralContainers) }
      : {}),
  } as PodStatus;
}

function containerStatus(
  input: StatusInput,
  spec: Container,
  container: RuntimeContainer | undefined,
  waitsForInit: boolean,
): ContainerStatus {
  const old = [
    ...(input.previous?.initContainerStatuses ?? []),
    ...(input.previous?.containerStatuses ?? []),
    ...(input.previous?.ephemeralContainerStatuses ?? []),
  ].find((status) => status.name === spec.name);
  const waiting = input.waiting.get(spec.name);
  const notYet = {
    waiting: waiting
      ? { reason: waiting.reason, ...(waiting.message ? { message: waiting.message } : {}) }
      : {
          reason: waitsForInit
            ? "PodInitializing"
            : input.pod.spec?.initContainers?.length && !input.view.sandboxes[0]
              ? "PodInitializing"
              : "ContainerCreating",
        },
  };
  if (!container) {
    return {
      name: spec.name,
      state: old?.state?.terminated ? old.state : notYet,
      lastState: old?.lastState ?? {},
      ready: false,
      restartCount: old?.restartCount ?? 0,
      image: spec.image ?? "",
      imageID: "",
      started: false,
      ...(old?.state?.terminated && old.containerID
        ? { containerID: old.containerID, image: old.image, imageID: old.imageID }
        : {}),
    };
  }
  const image = input.imageNames(container.imageId);
  const base = {
    name: spec.name,
    restartCount: container.name?.attempt ?? 0,
    image: image?.name ?? container.image,
    imageID: image?.digest ? `docker-pullable://${image.digest}` : `docker://${container.imageId}`,
    containerID: `docker://${container.id}`,
  };
  const before = input.view.containers.filter(
    (other) => other.name?.container === spec.name && other.id !== container.id && isExited(other),
  )[0];
  const lastState = before ? { terminated: terminated(input, before) } : (old?.lastState ?? {});
  if (container.state === "running") {
    const resources = input.resized(spec, container) ? (spec.resources ?? {}) : old?.resources;
    return {
      ...base,
      ...(resources ? { resources } : {}),
      ...(resources?.requests && Object.keys(resources.requests).length > 0
        ? { allocatedResources: resources.requests }
        : {}),
      lastState,
      state: { running: { startedAt: timestamp(container.startedAt) } },
      ready: input.probes.ready(spec.name),
      started: input.probes.started(spec.name),
    };
  }
  if (container.state === "created" && container.error === "")
    return { ...base, lastState, state: notYet, ready: false, started: false };
  const end = terminated(input, container);
  // In back-off (or unable to start again) the container waits, and its end becomes the last state.
  if (waiting) return { ...base, lastState: { terminated: end }, state: notYet, ready: false, started: false };
  const done = !isSidecar(spec) && (input.pod.spec?.initContainers ?? []).includes(spec) && end.exitCode === 0;
  return { ...base, lastState, state: { terminated: end }, ready: done, started: false };
}

function terminated(
  input: StatusInput,
  container: RuntimeContainer,
): NonNullable<NonNullable<ContainerStatus["state"]>["terminated"]> {
  const failedToStart = container.state === "created";
  const exitCode = failedToStart ? 128 : container.exitCode;
  const reason = failedToStart
    ? "StartError"
    : container.oomKilled
      ? "OOMKilled"
      : exitCode === 0
        ? "Completed"
        : "Error";
  const message = container.error || input.terminationMessage(container);
  const finishedAt = container.finishedAt || container.createdAt;
  return {
    exitCode,
    reason,
    ...(message ? { message } : {}),
    startedAt: timestamp(container.startedAt || (failedToStart ? 0 : finishedAt)),
    finishedAt: timestamp(finishedAt),
    containerID: `docker://${container.id}`,
  };
}

function finalPhase(pod: Pod, statuses: Map<string, ContainerStatus>): NonNullable<PodStatus["phase"]> {
  return (pod.spec?.containers ?? []).every(({ name }) => statuses.get(name)?.state?.terminated?.exitCode === 0)
    ? "Succeeded"
    : "Failed";
}

function phaseOf(
  pod: Pod,
  statuses: Map<string, ContainerStatus>,
  initFailed: boolean,
  waitsForInit: boolean,
): NonNullable<PodStatus["phase"]> {
  if (initFailed) return "Failed";
  if (waitsForInit) return "Pending";
  const policy = restartPolicy(pod);
  let waiting = 0;
  let running = 0;
  let stopped = 0;
  let succeeded = 0;
  for (const { name } of pod.spec?.containers ?? []) {
    const { state, lastState } = statuses.get(name) as ContainerStatus;
    if (state?.running) running++;
    else if (state?.terminated) {
      stopped++;
      if (state.terminated.exitCode === 0) succeeded++;
    } else if (state?.waiting && lastState?.terminated) stopped++;
    else waiting++;
  }
  if (waiting > 0) return "Pending";
  if (running > 0) return "Running";
  if (stopped > 0) {
    if (policy === "Always") return "Running";
    if (stopped === succeeded) return "Succeeded";
    return policy === "Never" ? "Failed" : "Running";
  }
  return "Pending";
}

function conditionsOf(
  input: StatusInput,
  statuses: Map<string, ContainerStatus>,
  phase: string,
  progress: { next: number; failed: boolean },
): Condition[] {
  const { pod, view, now } = input;
  const init = pod.spec?.initContainers ?? [];
  const unready = (pod.spec?.containers ?? []).map(({ name }) => name).filter((name) => !statuses.get(name)?.ready);
  const unreadySidecars = init
    .filter((container) => isSidecar(container) && !statuses.get(container.name)?.ready)
    .map(({ name }) => name);
  const uninitialized = init.slice(progress.next).map(({ name }) => name);
  const known = (input.previous?.conditions ?? pod.status?.conditions ?? []) as Condition[];
  // Others write theirs to the API: only there is the newest.
  const foreign = (pod.status?.conditions ?? []) as Condition[];
  const notReady = [...unreadySidecars, ...unready];

  const ready = (type: string, extra: string[]): Omit<Condition, "lastTransitionTime"> => {
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
  const sandboxReady = view.sandboxes[0]?.state === "running" && input.podIP !== undefined;
  const ours: Omit<Condition, "lastTransitionTime">[] = [
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
    ...(input.resizePending ? [{ type: "PodResizePending", status: "True" as const, ...input.resizePending }] : []),
    ...(input.ended?.evicted
      ? [
          {
            type: "DisruptionTarget",
            status: "True" as const,
            reason: "TerminationByKubelet",
            message: input.ended.message,
          },
        ]
      : []),
  ];
  return ours.map((condition): Condition => {
    const old = known.find(({ type }) => type === condition.type);
    const same = old?.status === condition.status;
    const generation = pod.metadata.generation;
    return {
      ...condition,
      ...(generation ? { observedGeneration: generation } : {}),
      lastTransitionTime: same && old.lastTransitionTime ? old.lastTransitionTime : timestamp(now),
    } as Condition;
  });
}

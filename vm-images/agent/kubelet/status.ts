/**
 * The status of a Pod as the API defines it, from what the runtime holds of it. Pure: the same input gives
 * the same status, and times of transition are taken over from the status before where nothing changed.
 */
import { timestamp } from "../../../common/kube/clock.ts";
import type { Container, ContainerStatus, Pod, PodStatus } from "../../../common/kube/types.ts";
import { restartCondition } from "../../../common/node/restart-all.ts";
import { conditionsOf, finalPhase, phaseOf } from "../../../common/node/pod-status.ts";
import type { PodCondition } from "../../../common/node/pod-status.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { initProgress } from "./decide.ts";
import type { ProbeView } from "./decide.ts";
import { allContainers, exitCodeOf, isExited, isSidecar, latest, qosClass } from "./pod.ts";
import type { PodView } from "./pod.ts";
import { generation } from "./restart-all.ts";
import { SHUTDOWN_REASON } from "./shutdown.ts";

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
  ended: { reason: string; message: string; evicted?: boolean; rejected?: boolean } | undefined;
  /** Why the limits that are asked for are not in force (yet). */
  resizePending?: { reason: "Infeasible" | "Deferred"; message: string } | undefined;
  /** The Pod was deleted and nothing of it runs any more: this is its last status. */
  terminating: boolean;
  now: number;
}

/** Ends that are not the Pod's own doing: Job's Pod failure policies look for the condition. */
const DISRUPTIONS: ReadonlySet<string> = new Set(["Evicted", SHUTDOWN_REASON]);

export function podStatus(input: StatusInput): PodStatus {
  const { pod, previous, now } = input;
  const statuses = new Map<string, ContainerStatus>();
  const newest = latest(input.view);
  const init = pod.spec?.initContainers ?? [];
  const progress = initProgress(pod, input.view, input.probes);
  const waitsForInit = progress.next < init.length;
  const { outdated } = generation(pod, input.view);
  for (const { spec, kind } of allContainers(pod)) {
    const waits = { forInit: kind === "regular" && waitsForInit, anew: outdated.has(spec.name) };
    statuses.set(spec.name, containerStatus(input, spec, newest.get(spec.name), waits));
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
  const conditions = conditionsOf({
    pod,
    previous,
    statuses,
    phase,
    initialized: progress.next,
    sandboxReady: input.view.sandboxes[0]?.state === "running" && input.podIP !== undefined,
    further: [...furtherConditions(input), ...restartCondition(pod, outdated.size > 0 && !input.ended, phase)],
    now,
  });
  const containerStatuses = (): Partial<PodStatus> => ({
    ...(init.length > 0 ? { initContainerStatuses: pick(init) } : {}),
    containerStatuses: pick(pod.spec?.containers),
    ...((pod.spec?.ephemeralContainers?.length ?? 0) > 0
      ? { ephemeralContainerStatuses: pick(pod.spec?.ephemeralContainers) }
      : {}),
  });
  const startTime = previous?.startTime ?? timestamp(now);
  // A Pod that has ended keeps the address that it had.
  // Nothing is told of the containers of a Pod that was not taken: clients would read of them that they are being made.
  const rejected = input.ended?.rejected ?? (ended !== undefined && ended.containerStatuses === undefined);
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
    ...(rejected ? {} : containerStatuses()),
  } as PodStatus;
}

function furtherConditions({ resizePending, ended }: StatusInput): Omit<PodCondition, "lastTransitionTime">[] {
  return [
    ...(resizePending ? [{ type: "PodResizePending", status: "True", ...resizePending }] : []),
    ...(ended && DISRUPTIONS.has(ended.reason)
      ? [{ type: "DisruptionTarget", status: "True", reason: "TerminationByKubelet", message: ended.message }]
      : []),
  ];
}

function containerStatus(
  input: StatusInput,
  spec: Container,
  container: RuntimeContainer | undefined,
  /** For the init containers, or for its turn after an end that has all begin again. */
  waits: { forInit: boolean; anew: boolean },
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
          reason: waits.forInit
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
  if (waiting || (waits.anew && !input.ended && !input.terminating))
    return { ...base, lastState: { terminated: end }, state: notYet, ready: false, started: false };
  const done = !isSidecar(spec) && (input.pod.spec?.initContainers ?? []).includes(spec) && end.exitCode === 0;
  return { ...base, lastState, state: { terminated: end }, ready: done, started: false };
}

function terminated(
  input: StatusInput,
  container: RuntimeContainer,
): NonNullable<NonNullable<ContainerStatus["state"]>["terminated"]> {
  const failedToStart = container.state === "created";
  const exitCode = exitCodeOf(container);
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

/**
 * What the kubelet of a simulated node tells of a Pod, in the words of the kubelet of 1.36: read off the change from one
 * status to the next, so that it is told once, whenever somebody looks. Pure.
 */
import type { Container, ContainerStatus, Pod, PodStatus } from "../../../../common/kube/types.ts";
import { isRestartingAll } from "../../../../common/node/restart-all.ts";

export interface PodEvent {
  type: "Normal" | "Warning";
  reason: string;
  message: string;
  /** Which container: spec.containers{web}. */
  fieldPath?: string;
}

const normal = (reason: string, message: string): PodEvent => ({ type: "Normal", reason, message });
const warning = (reason: string, message: string): PodEvent => ({ type: "Warning", reason, message });

/** Runs that are told of in one look: of more, somebody looked very late. */
const MOST_RUNS = 5;

/** Events of the change from `before` to `after`, the status of a Pod that stays. */
export function eventsOfChange(pod: Pod, before: PodStatus | undefined, after: PodStatus): PodEvent[] {
  const old = statusesOf(before);
  const now = statusesOf(after);
  const told: PodEvent[] = containersOf(pod).flatMap(([spec, field]) => {
    const status = now.get(spec.name);
    if (!status) return [];
    const fieldPath = `spec.${field}{${spec.name}}`;
    return eventsOfContainer(pod, spec, old.get(spec.name), status).map((event) => ({ ...event, fieldPath }));
  });
  if (isRestartingAll(after?.conditions) && !isRestartingAll(before?.conditions)) {
    const killed = (path = ""): boolean =>
      now.get(/\{(.*)\}/.exec(path)?.[1] ?? "")?.state?.terminated?.exitCode === 137;
    told.push(...eventsOfEnd(pod, before).filter(({ fieldPath }) => killed(fieldPath)));
  }
  const { reason, message = "" } = after;
  if (reason === undefined || reason === before?.reason) return told;
  const end = reason === "DeadlineExceeded" ? normal(reason, message) : warning(reason, message);
  return [...told, end, ...eventsOfEnd(pod, before)];
}

/** Events of the moment in which a Pod's containers are told to end, with `status` before that. */
export function eventsOfEnd(pod: Pod, status: PodStatus | undefined): PodEvent[] {
  const known = statusesOf(status);
  return containersOf(pod)
    .filter(([{ name }]) => known.get(name)?.state?.running !== undefined)
    .map(([{ name }, field]) => ({
      ...normal("Killing", `Stopping container ${name}`),
      fieldPath: `spec.${field}{${name}}`,
    }));
}

function eventsOfContainer(
  pod: Pod,
  { name, image = "" }: Container,
  before: ContainerStatus | undefined,
  after: ContainerStatus,
): PodEvent[] {
  const runs = Math.min(MOST_RUNS, Math.max(0, runsOf(after) - runsOf(before)));
  const pulled = normal(
    "Pulled",
    `Container image "${image}" already present on machine and can be accessed by the pod`,
  );
  const started = [pulled, normal("Created", "Container created"), normal("Started", "Container started")];
  const told = Array.from({ length: runs }, () => started).flat();
  const waiting = after.state?.waiting;
  // A back-off that goes on keeps its message; the next one is longer.
  const same = before?.state?.waiting;
  if (!waiting?.reason || (same?.reason === waiting.reason && same.message === waiting.message)) return told;
  const { namespace, name: podName, uid } = pod.metadata;
  if (waiting.reason === "CrashLoopBackOff")
    told.push(
      warning("BackOff", `Back-off restarting failed container ${name} in pod ${podName}_${namespace}(${uid})`),
    );
  else if (waiting.reason !== "PodInitializing" && waiting.reason !== "ContainerCreating")
    told.push(...eventsOfFailure(waiting.reason, waiting.message ?? "", image, pulled));
  return told;
}

/** Of a container that cannot be started. */
function eventsOfFailure(reason: string, message: string, image: string, pulled: PodEvent): PodEvent[] {
  const failed = (what: string): PodEvent => warning("Failed", `Error: ${what}`);
  switch (reason) {
    case "ErrImagePull":
    case "ImagePullBackOff": {
      const pull = [
        normal("Pulling", `Pulling image "${image}"`),
        warning("Failed", `Failed to pull image "${image}": ${message}`),
        failed("ErrImagePull"),
      ];
      if (reason === "ErrImagePull") return pull;
      return [...pull, normal("BackOff", `Back-off pulling image "${image}"`), failed("ImagePullBackOff")];
    }
    case "ErrImageNeverPull":
      return [
        warning("ErrImageNeverPull", `Container image "${image}" is not present with pull policy of Never`),
        failed("ErrImageNeverPull"),
      ];
    case "InvalidImageName":
      return [warning("InspectFailed", message), failed("InvalidImageName")];
    case "RunContainerError":
      return [pulled, normal("Created", "Container created"), failed(message)];
    default:
      return [pulled, failed(message)];
  }
}

/** How often it has been started. */
const runsOf = (status: ContainerStatus | undefined): number =>
  (status?.restartCount ?? 0) + (status?.containerID ? 1 : 0);

function containersOf({ spec }: Pod): [Container, string][] {
  const of = (field: "initContainers" | "containers" | "ephemeralContainers"): [Container, string][] =>
    ((spec?.[field] ?? []) as Container[]).map((one) => [one, field]);
  return [...of("initContainers"), ...of("containers"), ...of("ephemeralContainers")];
}

function statusesOf(status: PodStatus | undefined): Map<string, ContainerStatus> {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = status ?? {};
  return new Map(
    [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses].map((one) => [one.name, one]),
  );
}

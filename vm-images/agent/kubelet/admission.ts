/** Whether the node can take a Pod that was given to it: the kubelet's own look, for Pods that no scheduler has placed. Pure. */
import type { Container, Pod } from "../../../common/kube/types.ts";
import { milliValue, wholeValue } from "./resources.ts";

export interface Capacity {
  cpuMilli: number;
  memoryBytes: number;
  pods: number;
}

export interface Shortage {
  resource: "pods" | "cpu" | "memory";
  requested: number;
  used: number;
  capacity: number;
}

const ended = ({ status }: Pod): boolean => status?.phase === "Succeeded" || status?.phase === "Failed";

function request(containers: readonly Container[], resource: "cpu" | "memory"): number {
  return containers.reduce((sum, { resources }) => sum + requestOf(resources, resource), 0);
}

function requestOf(resources: Container["resources"], resource: "cpu" | "memory"): number {
  const { requests = {}, limits = {} } = (resources ?? {}) as {
    requests?: Record<string, string>;
    limits?: Record<string, string>;
  };
  const value = requests[resource] ?? limits[resource] ?? 0;
  return resource === "cpu" ? milliValue(value) : wholeValue(value);
}

/** What a Pod asks for: its containers and sidecars together, or its largest init container. */
export function requestedBy({ spec }: Pod, resource: "cpu" | "memory"): number {
  const init = spec?.initContainers ?? [];
  const sidecars = init.filter(({ restartPolicy }) => restartPolicy === "Always");
  const together = request(spec?.containers ?? [], resource) + request(sidecars, resource);
  const alone = init.map(({ resources }) => requestOf(resources, resource));
  return Math.max(together, ...alone);
}

/**
 * What a Pod of the node holds: what its running containers were given, as its status tells, not what a resize asks for them that
 * has to wait or can never be.
 */
function heldBy(pod: Pod, resource: "cpu" | "memory"): number {
  const { containerStatuses = [], initContainerStatuses = [], conditions = [] } = pod.status ?? {};
  const waits = conditions.some(({ type, status }) => type === "PodResizePending" && status === "True");
  const given = new Map(
    [...initContainerStatuses, ...containerStatuses].map((one) => [one.name, one.allocatedResources]),
  );
  const asGiven = (container: Container): Container => {
    // Nothing is told of a container that was given nothing.
    const requests = given.get(container.name) ?? (waits ? {} : undefined);
    return requests ? { ...container, resources: { requests } } : container;
  };
  const { initContainers = [], containers = [] } = pod.spec ?? {};
  const spec = { ...pod.spec, initContainers: initContainers.map(asGiven), containers: containers.map(asGiven) };
  return requestedBy({ ...pod, spec } as Pod, resource);
}

/** What is missing for `pod` beside `others`; undefined when it fits. */
export function shortageOf(pod: Pod, others: readonly Pod[], capacity: Capacity): Shortage | undefined {
  const running = others.filter((other) => other.metadata.uid !== pod.metadata.uid && !ended(other));
  if (running.length + 1 > capacity.pods)
    return { resource: "pods", requested: 1, used: running.length, capacity: capacity.pods };
  for (const [resource, all] of [
    ["cpu", capacity.cpuMilli],
    ["memory", capacity.memoryBytes],
  ] as const) {
    const requested = requestedBy(pod, resource);
    const used = running.reduce((sum, other) => sum + heldBy(other, resource), 0);
    if (requested > 0 && requested + used > all) return { resource, requested, used, capacity: all };
  }
  return undefined;
}

/** The kubelet's words. */
export function shortageMessage({ resource, requested, used, capacity }: Shortage): string {
  return `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`;
}

/** In-place resize: whether a running container's limits are those of its spec, and what to do where they are not. Pure. */
import type { Container, Pod } from "../../../common/kube/types.ts";
import type { ContainerResources, RuntimeContainer } from "../runtime/runtime.ts";
import { shortageMessage, shortageOf } from "./admission.ts";
import type { Capacity } from "./admission.ts";
import { allContainers, latest } from "./pod.ts";
import type { PodView } from "./pod.ts";
import { containerResources } from "./resources.ts";

export type Resize = { kind: "none" } | { kind: "update" | "restart"; resources: ContainerResources };

/** Why a resize has to wait or can never be; undefined when there is none, or nothing is against it. */
export function resizePending(
  pod: Pod,
  view: PodView,
  all: readonly Pod[],
  node: Capacity,
): { reason: "Infeasible" | "Deferred"; message: string } | undefined {
  const newest = latest(view);
  const asked = allContainers(pod).some(({ spec, kind }) => {
    const container = newest.get(spec.name);
    if (kind === "ephemeral" || container?.state !== "running") return false;
    return resizeOf(pod, spec, container, node.memoryBytes).kind !== "none";
  });
  if (!asked) return undefined;
  const never = shortageOf(pod, [], node);
  if (never) {
    const { resource, requested, capacity } = never;
    const message = `Node didn't have enough capacity: ${resource}, requested: ${requested}, capacity: ${capacity}`;
    return { reason: "Infeasible", message };
  }
  const now = shortageOf(pod, all, { ...node, pods: Infinity });
  return now && { reason: "Deferred", message: shortageMessage(now) };
}

export function resizeOf(pod: Pod, spec: Container, container: RuntimeContainer, nodeMemoryBytes: number): Resize {
  const wanted = containerResources(pod, spec, nodeMemoryBytes);
  const has = container.resources;
  const memory = wanted.memoryBytes !== has.memoryBytes;
  const cpu = wanted.cpuShares !== has.cpuShares || wanted.cpuQuota !== has.cpuQuota;
  if (!memory && !cpu) return { kind: "none" };
  const restarts = (resource: string): boolean =>
    spec.resizePolicy?.some(
      ({ resourceName, restartPolicy }) => resourceName === resource && restartPolicy === "RestartContainer",
    ) ?? false;
  const restart = (memory && restarts("memory")) || (cpu && restarts("cpu"));
  return { kind: restart ? "restart" : "update", resources: wanted };
}

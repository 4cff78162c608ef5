/** In-place resize: whether a running container's limits are those of its spec, and what to do where they are not. Pure. */
import type { Container, Pod } from "../../../common/kube/types.ts";
import type { ContainerResources, RuntimeContainer } from "../runtime/runtime.ts";
import { containerResources } from "./resources.ts";

export type Resize = { kind: "none" } | { kind: "update" | "restart"; resources: ContainerResources };

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

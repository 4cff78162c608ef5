/** Small questions about a Pod, asked everywhere in the kubelet. Pure. */
import { isQuantity, parseQuantity } from "../../../common/kube/quantity.ts";
import type { Container, Pod } from "../../../common/kube/types.ts";
import { shouldRestart } from "../../../common/node/restart.ts";
import type { ContainerKind } from "../../../common/node/restart.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { SANDBOX } from "../runtime/names.ts";

/** What the runtime holds of one Pod, every attempt, the newest first. */
export interface PodView {
  sandboxes: RuntimeContainer[];
  containers: RuntimeContainer[];
}

export function podUid(pod: Pod): string {
  return pod.metadata.uid ?? "";
}

export function podName(pod: Pod): string {
  return `${pod.metadata.namespace}/${pod.metadata.name}`;
}

/** "name_namespace(uid)": how the kubelet names a Pod in the messages that clients show. */
export function formatPod(pod: Pod): string {
  return `${pod.metadata.name}_${pod.metadata.namespace}(${podUid(pod)})`;
}

/** An init container that keeps running beside the regular ones. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === "Always";
}

/** Every container of the spec with its kind, in the order they may start. */
export function allContainers(pod: Pod): { spec: Container; kind: ContainerKind }[] {
  const spec = pod.spec;
  return [
    ...(spec?.initContainers ?? []).map((container) => ({
      spec: container,
      kind: isSidecar(container) ? ("sidecar" as const) : ("init" as const),
    })),
    ...(spec?.containers ?? []).map((container) => ({ spec: container, kind: "regular" as const })),
    ...(spec?.ephemeralContainers ?? []).map((container) => ({
      spec: container as Container,
      kind: "ephemeral" as const,
    })),
  ];
}

export function isHostNetwork(pod: Pod): boolean {
  return pod.spec?.hostNetwork === true;
}

export function restartPolicy(pod: Pod): "Always" | "OnFailure" | "Never" {
  return (pod.spec?.restartPolicy as "Always" | "OnFailure" | "Never" | undefined) ?? "Always";
}

/** A container that stopped, or that Docker could not start at all. */
export function isExited(container: RuntimeContainer): boolean {
  return container.state === "exited" || (container.state === "created" && container.error !== "");
}

/** The exit code that its status tells: 128 where it could not be started at all. */
export function exitCodeOf(container: RuntimeContainer): number {
  return container.state === "created" ? 128 : container.exitCode;
}

/** Whether a container that does not run should (again), back-off aside. */
export function shouldStart(
  pod: Pod,
  spec: Container,
  kind: ContainerKind,
  container: RuntimeContainer | undefined,
): boolean {
  if (!container) return true;
  if (!isExited(container)) return container.state === "created";
  // Docker has words for a start that failed after the container ran once: no success, whatever its exit code.
  const code = exitCodeOf(container) || (container.error === "" ? 0 : 128);
  return shouldRestart(spec, kind, restartPolicy(pod), code);
}

/** The newest attempt of each container of the Pod. */
export function latest(view: PodView): Map<string, RuntimeContainer> {
  const newest = new Map<string, RuntimeContainer>();
  for (const container of view.containers) {
    const name = container.name?.container ?? "";
    const known = newest.get(name);
    if (!known || (container.name?.attempt ?? 0) > (known.name?.attempt ?? 0)) newest.set(name, container);
  }
  return newest;
}

export function viewOf(containers: RuntimeContainer[]): PodView {
  const newestFirst = containers.toSorted(
    (a, b) => (b.name?.attempt ?? 0) - (a.name?.attempt ?? 0) || b.createdAt - a.createdAt,
  );
  return {
    sandboxes: newestFirst.filter((container) => container.name?.container === SANDBOX),
    containers: newestFirst.filter((container) => container.name?.container !== SANDBOX),
  };
}

/** Fields of the pod may hold an int or a string ("http"): the number, looked up among the container's ports. */
export function resolvePort(port: number | string | undefined, container: Container | undefined): number | undefined {
  if (port === undefined) return undefined;
  if (typeof port === "number") return port;
  if (/^\d+$/.test(port)) return Number(port);
  return container?.ports?.find((candidate) => candidate.name === port)?.containerPort;
}

/** The Quality of Service class: Guaranteed when every container's limits equal its requests for cpu and memory. */
export function qosClass(pod: Pod): "Guaranteed" | "Burstable" | "BestEffort" {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  let any = false;
  let guaranteed = true;
  for (const container of containers) {
    const requests = (container.resources?.requests ?? {}) as Record<string, string | number>;
    const limits = (container.resources?.limits ?? {}) as Record<string, string | number>;
    for (const resource of ["cpu", "memory"]) {
      const request = requests[resource] ?? limits[resource];
      const limit = limits[resource];
      if (request !== undefined || limit !== undefined) any = true;
      if (limit === undefined || !sameQuantity(request as string | number, limit)) guaranteed = false;
    }
  }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

/** 1 and 1000m are the same. */
function sameQuantity(a: string | number, b: string | number): boolean {
  return isQuantity(a) && isQuantity(b) ? parseQuantity(a).nano === parseQuantity(b).nano : String(a) === String(b);
}

/** The downward API: fields of a Pod and resources of its containers as text. Pure. */
import { milliValue, wholeValue } from "./resources.ts";
import type { Container, Pod } from "../../../common/kube/types.ts";

/** What the node adds to a Pod's fields. */
export interface NodeFacts {
  nodeName: string;
  hostIP: string;
  podIP: string | undefined;
  /** Allocatable of the node: the value of a limit that is not set. */
  cpuMilli: number;
  memoryBytes: number;
}

/** The text of a field path; undefined when there is no such field. */
export function podField(pod: Pod, path: string, facts: NodeFacts): string | undefined {
  const subscript = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (subscript) return pod.metadata[subscript[1] as "labels" | "annotations"]?.[subscript[2] as string] ?? "";
  switch (path) {
    case "metadata.name":
      return pod.metadata.name ?? "";
    case "metadata.namespace":
      return pod.metadata.namespace ?? "";
    case "metadata.uid":
      return pod.metadata.uid ?? "";
    case "metadata.labels":
      return formatMap(pod.metadata.labels);
    case "metadata.annotations":
      return formatMap(pod.metadata.annotations);
    case "spec.nodeName":
      return pod.spec?.nodeName ?? facts.nodeName;
    case "spec.serviceAccountName":
      return pod.spec?.serviceAccountName ?? "default";
    case "status.hostIP":
    case "status.hostIPs":
      return facts.hostIP;
    case "status.podIP":
    case "status.podIPs":
      return facts.podIP ?? "";
    default:
      return undefined;
  }
}

/** One `key="value"` a line, sorted, as the downward API volume writes labels and annotations. */
function formatMap(map: Record<string, string> | undefined): string {
  return Object.entries(map ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
}

/** limits.cpu, requests.memory … divided by `divisor` and rounded up. */
export function resourceField(
  pod: Pod,
  container: Container,
  ref: { resource: string; containerName?: string; divisor?: string },
  facts: NodeFacts,
): string {
  const target = ref.containerName
    ? ([...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].find(
        ({ name }) => name === ref.containerName,
      ) ?? container)
    : container;
  const [kind = "limits", ...rest] = ref.resource.split(".");
  const resource = rest.join(".");
  const limits = (target.resources?.limits ?? {}) as Record<string, string | number>;
  const requests = (target.resources?.requests ?? {}) as Record<string, string | number>;
  const quantity = kind === "requests" ? (requests[resource] ?? limits[resource] ?? "0") : limits[resource];
  const divisor = !ref.divisor || ref.divisor === "0" ? "1" : ref.divisor;
  if (resource === "cpu") {
    const milli = quantity === undefined ? facts.cpuMilli : milliValue(quantity);
    return String(Math.ceil(milli / milliValue(divisor)));
  }
  const bytes = quantity === undefined ? (resource === "memory" ? facts.memoryBytes : 0) : wholeValue(quantity);
  return String(Math.ceil(bytes / wholeValue(divisor)));
}

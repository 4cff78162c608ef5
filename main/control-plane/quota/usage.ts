/** What one object costs, by the names that ResourceQuotas bound. Pure. */
import type { KubeObject } from "../../../common/kube/object.ts";
import { parseQuantity } from "../../../common/kube/quantity.ts";
import type { Quantity } from "../../../common/kube/quantity.ts";
import type { Container, PersistentVolumeClaim, Pod, PodSpec, Service } from "../../../common/kube/types.ts";
import { amountsOf, largest, sum } from "./amounts.ts";
import type { Quantities } from "./amounts.ts";

const ONE = parseQuantity("1");
/** Counted by their own names too, since before there was "count/…". */
export const COUNTED_BY_NAME: ReadonlySet<string> = new Set([
  "pods",
  "services",
  "persistentvolumeclaims",
  "configmaps",
  "secrets",
  "replicationcontrollers",
  "resourcequotas",
]);
/** Requests that are bounded without the prefix as well. */
const PLAIN_REQUESTS = /^(cpu|memory|ephemeral-storage|hugepages-.+)$/;

/** `resource` is "pods" or "deployments.apps". */
export function usageOf(resource: string, object: KubeObject): Map<string, Quantity> {
  const usage = new Map([[`count/${resource}`, ONE]]);
  if (resource === "pods") return isOver(object as Pod) ? usage : new Map([...usage, ...podUsage(object as Pod)]);
  if (COUNTED_BY_NAME.has(resource)) usage.set(resource, ONE);
  if (resource === "services") return new Map([...usage, ...serviceUsage(object as Service)]);
  if (resource === "persistentvolumeclaims") return new Map([...usage, ...claimUsage(object as PersistentVolumeClaim)]);
  return usage;
}

/** A Pod that has ended costs nothing but its place in the store. */
export function isOver({ status }: Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

function podUsage({ spec }: Pod): Map<string, Quantity> {
  const usage = new Map([["pods", ONE]]);
  if (!spec) return usage;
  for (const [name, quantity] of needs(spec, "requests")) {
    usage.set(`requests.${name}`, quantity);
    if (PLAIN_REQUESTS.test(name)) usage.set(name, quantity);
  }
  for (const [name, quantity] of needs(spec, "limits")) usage.set(`limits.${name}`, quantity);
  return usage;
}

/** All containers together, or any init container beside the sidecars before it, whichever is more; and the overhead. */
function needs(spec: PodSpec, part: "requests" | "limits"): Map<string, Quantity> {
  const of = (holder: unknown): Map<string, Quantity> =>
    amountsOf((holder as { resources?: Partial<Record<typeof part, Quantities>> }).resources?.[part]);
  let running = new Map<string, Quantity>();
  for (const container of spec.containers ?? []) running = sum(running, of(container));
  let sidecars = new Map<string, Quantity>();
  let starting = new Map<string, Quantity>();
  for (const container of (spec.initContainers ?? []) as Container[]) {
    const own = of(container);
    starting = largest(starting, sum(sidecars, own));
    if ((container as { restartPolicy?: string }).restartPolicy === "Always") sidecars = sum(sidecars, own);
  }
  const total = new Map([...largest(sum(running, sidecars), starting), ...of(spec)]);
  return total.size > 0 ? sum(total, amountsOf(spec.overhead as Quantities | undefined)) : total;
}

function serviceUsage({ spec }: Service): Map<string, Quantity> {
  const usage = new Map<string, Quantity>();
  const ports = spec?.ports?.length ?? 0;
  const balances = spec?.type === "LoadBalancer";
  if (balances) usage.set("services.loadbalancers", ONE);
  if (spec?.type === "NodePort" || (balances && spec.allocateLoadBalancerNodePorts !== false))
    usage.set("services.nodeports", parseQuantity(ports));
  return usage;
}

function claimUsage({ spec, metadata }: PersistentVolumeClaim): Map<string, Quantity> {
  const storage = amountsOf(spec?.resources?.requests as Quantities | undefined).get("storage");
  const className = metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? spec?.storageClassName;
  const usage = new Map<string, Quantity>();
  if (storage) usage.set("requests.storage", storage);
  if (className) {
    const prefix = `${className}.storageclass.storage.k8s.io`;
    usage.set(`${prefix}/persistentvolumeclaims`, ONE);
    if (storage) usage.set(`${prefix}/requests.storage`, storage);
  }
  return usage;
}

/** Which objects a quota is about: by its scopes (Pods alone have any), and by what it bounds. Pure. */
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Quantity } from "../../../common/kube/quantity.ts";
import type { Container, Pod } from "../../../common/kube/types.ts";
import type { Quantities } from "./amounts.ts";

export interface ResourceQuota extends KubeObject {
  spec?: {
    hard?: Quantities;
    scopes?: string[];
    scopeSelector?: { matchExpressions?: ScopeRequirement[] };
  };
  status?: { hard?: Quantities; used?: Quantities };
}

interface ScopeRequirement {
  scopeName: string;
  operator: string;
  values?: string[];
}

/** Whether this quota bounds the object, which costs `usage`. */
export function concerns(
  quota: ResourceQuota,
  resource: string,
  object: KubeObject,
  usage: ReadonlyMap<string, Quantity>,
): boolean {
  const hard = quota.spec?.hard ?? {};
  return (
    Object.keys(hard).some((name) => usage.has(name) || asksFor(resource, name)) && inScope(quota, resource, object)
  );
}

/** A quota on computing resources is about every Pod, also one that asks for none: it is refused for that. */
function asksFor(resource: string, name: string): boolean {
  return resource === "pods" && COMPUTE.has(name);
}

export const COMPUTE: ReadonlySet<string> = new Set([
  "cpu",
  "memory",
  "requests.cpu",
  "requests.memory",
  "limits.cpu",
  "limits.memory",
]);

export function inScope({ spec }: ResourceQuota, resource: string, object: KubeObject): boolean {
  const requirements: ScopeRequirement[] = [
    ...(spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: "Exists" })),
    ...(spec?.scopeSelector?.matchExpressions ?? []),
  ];
  if (requirements.length === 0) return true;
  return resource === "pods" && requirements.every((requirement) => matches(requirement, object as Pod));
}

function matches({ scopeName, operator, values = [] }: ScopeRequirement, pod: Pod): boolean {
  switch (scopeName) {
    case "Terminating":
      return pod.spec?.activeDeadlineSeconds !== undefined;
    case "NotTerminating":
      return pod.spec?.activeDeadlineSeconds === undefined;
    case "BestEffort":
      return isBestEffort(pod);
    case "NotBestEffort":
      return !isBestEffort(pod);
    case "CrossNamespacePodAffinity":
      return JSON.stringify(pod.spec?.affinity ?? {}).match(/"namespaces":\[[^\]]|"namespaceSelector":/) !== null;
    case "PriorityClass": {
      const name = pod.spec?.priorityClassName ?? "";
      if (operator === "In") return values.includes(name);
      if (operator === "NotIn") return !values.includes(name);
      return operator === "Exists" ? name !== "" : name === "";
    }
    default:
      return false;
  }
}

function isBestEffort({ spec }: Pod): boolean {
  const all = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])] as Container[];
  return !all.some(({ resources }) =>
    [resources?.requests, resources?.limits].some((part) =>
      ["cpu", "memory"].some((name) => (part as Quantities | undefined)?.[name] !== undefined),
    ),
  );
}

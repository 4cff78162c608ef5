/** LimitRanger: a namespace's LimitRanges give Pods default requests and limits, and hold them to bounds. */
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Quantity } from "../../../common/kube/quantity.ts";
import {
  addQuantity,
  compareQuantity,
  formatQuantity,
  isQuantity,
  parseQuantity,
} from "../../../common/kube/quantity.ts";
import type { Container, Pod, PodSpec } from "../../../common/kube/types.ts";
import type { Reader } from "../resources/reader.ts";
import { forbid, on } from "./forbid.ts";
import type { AdmissionPlugin } from "./types.ts";

const ANNOTATION = "kubernetes.io/limit-ranger";

type Amounts = Record<string, string | number>;
interface LimitItem {
  type: string;
  max?: Amounts;
  min?: Amounts;
  default?: Amounts;
  defaultRequest?: Amounts;
  maxLimitRequestRatio?: Amounts;
}

const limitsOf = (object: KubeObject): LimitItem[] =>
  (object["spec"] as { limits?: LimitItem[] } | undefined)?.limits ?? [];
const containersOf = (spec: PodSpec): Container[] => [...(spec.containers ?? []), ...(spec.initContainers ?? [])];

export function limitRanger(reader: Reader): AdmissionPlugin {
  const itemsFor = (namespace: string | undefined): LimitItem[] =>
    [...reader.list("limitranges", namespace ?? "")].flatMap(limitsOf);
  return {
    name: "LimitRanger",
    mutate(request) {
      if (!on(request, "CREATE", "pods") || !request.object) return;
      const items = itemsFor(request.namespace).filter(({ type }) => type === "Container");
      if (items.length === 0) return;
      const spec = (request.object as Pod).spec as PodSpec;
      const filled = [
        ...(spec.containers ?? []).flatMap((container) => fill(container, items, "container")),
        ...(spec.initContainers ?? []).flatMap((container) => fill(container, items, "init container")),
      ];
      if (filled.length === 0) return;
      const { metadata } = request.object;
      metadata.annotations = { ...metadata.annotations, [ANNOTATION]: `LimitRanger plugin set: ${filled.join("; ")}` };
    },
    validate(request) {
      const { object, namespace } = request;
      if (!object) return;
      const pod = on(request, "CREATE", "pods");
      const claims = "persistentvolumeclaims";
      if (!pod && !on(request, "CREATE", claims) && !on(request, "UPDATE", claims)) return;
      const problems = itemsFor(namespace).flatMap((item) =>
        pod ? violations((object as Pod).spec as PodSpec, item) : claimViolations(object, item),
      );
      if (problems.length === 1) throw forbid(request, problems[0] as string);
      if (problems.length > 1) throw forbid(request, `[${problems.join(", ")}]`);
    },
  };
}

/** Says in words what it filled in, requests first. */
function fill(container: Container, items: readonly LimitItem[], what: string): string[] {
  const resources = (container.resources ??= {}) as { limits?: Amounts; requests?: Amounts };
  const set = { requests: new Set<string>(), limits: new Set<string>() };
  for (const item of items) {
    const limits = { ...item.default, ...resources.limits };
    // A limit that the author wrote is also the request, before the namespace's default request is.
    const requests = { ...item.defaultRequest, ...resources.limits, ...resources.requests };
    for (const name of Object.keys(item.default ?? {})) if (!(name in (resources.limits ?? {}))) set.limits.add(name);
    for (const name of Object.keys(item.defaultRequest ?? {}))
      if (!(name in { ...resources.limits, ...resources.requests })) set.requests.add(name);
    if (Object.keys(limits).length > 0) resources.limits = limits;
    if (Object.keys(requests).length > 0) resources.requests = requests;
  }
  return (["requests", "limits"] as const)
    .filter((part) => set[part].size > 0)
    .map((part) => `${[...set[part]].toSorted().join(", ")} ${part.slice(0, -1)} for ${what} ${container.name}`);
}

/** What is out of bounds, in words. Pure. */
export function violations(spec: PodSpec, item: LimitItem): string[] {
  if (item.type === "Container") {
    return containersOf(spec).flatMap((container) => {
      const { requests = {}, limits = {} } = (container.resources ?? {}) as { requests?: Amounts; limits?: Amounts };
      return outOfBounds(item, requests, limits);
    });
  }
  return item.type === "Pod" ? outOfBounds(item, total(spec, "requests"), total(spec, "limits")) : [];
}

/** Of a claim only what it requests is bounded. */
function claimViolations(claim: KubeObject, { type, min, max }: LimitItem): string[] {
  if (type !== "PersistentVolumeClaim") return [];
  const spec = (claim["spec"] ?? {}) as { resources?: { requests?: Amounts } };
  const requests = spec.resources?.requests ?? {};
  const below = outOfBounds({ type, ...(min ? { min } : {}) }, requests, {});
  const above = Object.entries(max ?? {}).flatMap(([name, most]) => {
    const request = requests[name];
    if (!isQuantity(request) || !isQuantity(most)) return [];
    return compareQuantity(parseQuantity(request), parseQuantity(most)) > 0
      ? [
          `maximum ${name} usage per ${type} is ${String(most)}, but request is ${formatQuantity(parseQuantity(request))}`,
        ]
      : [];
  });
  return [...below, ...above];
}

/** What the containers of a Pod need together; the largest init container where that is more. */
function total(spec: PodSpec, part: "requests" | "limits"): Amounts {
  const sums = new Map<string, Quantity>();
  for (const container of spec.containers ?? []) {
    for (const [name, value] of Object.entries((container.resources?.[part] ?? {}) as Amounts)) {
      const before = sums.get(name);
      if (isQuantity(value)) sums.set(name, before ? addQuantity(before, parseQuantity(value)) : parseQuantity(value));
    }
  }
  for (const container of spec.initContainers ?? []) {
    for (const [name, value] of Object.entries((container.resources?.[part] ?? {}) as Amounts)) {
      if (!isQuantity(value)) continue;
      const before = sums.get(name);
      const own = parseQuantity(value);
      if (!before || compareQuantity(own, before) > 0) sums.set(name, own);
    }
  }
  return Object.fromEntries([...sums].map(([name, quantity]) => [name, formatQuantity(quantity)]));
}

function outOfBounds(item: LimitItem, requests: Amounts, limits: Amounts): string[] {
  const problems: string[] = [];
  const quantity = (value: unknown): Quantity | undefined => (isQuantity(value) ? parseQuantity(value) : undefined);
  for (const [name, least] of Object.entries(item.min ?? {})) {
    const bound = quantity(least);
    const request = quantity(requests[name]);
    const limit = quantity(limits[name]);
    if (!bound) continue;
    const rule = `minimum ${name} usage per ${item.type} is ${String(least)}`;
    if (!request) problems.push(`${rule}.  No request is specified`);
    else if (compareQuantity(request, bound) < 0) problems.push(`${rule}, but request is ${formatQuantity(request)}`);
    else if (limit && compareQuantity(limit, bound) < 0)
      problems.push(`${rule}, but limit is ${formatQuantity(limit)}`);
  }
  for (const [name, most] of Object.entries(item.max ?? {})) {
    const bound = quantity(most);
    const request = quantity(requests[name]);
    const limit = quantity(limits[name]);
    if (!bound) continue;
    const rule = `maximum ${name} usage per ${item.type} is ${String(most)}`;
    if (!limit) problems.push(`${rule}.  No limit is specified`);
    else if (compareQuantity(limit, bound) > 0) problems.push(`${rule}, but limit is ${formatQuantity(limit)}`);
    else if (request && compareQuantity(request, bound) > 0)
      problems.push(`${rule}, but request is ${formatQuantity(request)}`);
  }
  for (const [name, most] of Object.entries(item.maxLimitRequestRatio ?? {})) {
    const bound = quantity(most);
    const request = quantity(requests[name]);
    const limit = quantity(limits[name]);
    if (!bound || !request || !limit || request.nano <= 0n) continue;
    const ratio = Number(limit.nano) / Number(request.nano);
    if (ratio > Number(bound.nano) / 1e9) {
      problems.push(
        `${name} max limit to request ratio per ${item.type} is ${String(most)}, but provided ratio is ${ratio.toFixed(6)}`,
      );
    }
  }
  return problems;
}
